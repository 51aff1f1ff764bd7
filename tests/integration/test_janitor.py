"""The janitor on real Redis: whatever died on the way is found and put right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from postroom.client import Postroom
from postroom.clock import now
from postroom.dispatch.release import release
from postroom.health.janitor import Janitor
from postroom.ids import new_campaign_id
from postroom.model import (
    Campaign,
    CampaignId,
    Lane,
    OnAmbiguous,
    Outcome,
    SenderName,
    Settled,
    Source,
)
from postroom.settings import Settings
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.drafts import Drafts
from postroom.store.ledger import Ledger
from postroom.store.live import Live
from tests.support import campaigns
from tests.support.campaigns import PreparedCampaign
from tests.support.fake_carrier import FakeCarrier
from tests.support.worker_harness import WorkerHarness, quick

Make = Callable[..., PreparedCampaign]


@dataclass
class Producers:
    """Who is asked to split."""

    asked: list[CampaignId] = field(default_factory=list)

    def split(self, campaign_id: CampaignId) -> None:
        self.asked.append(campaign_id)


@dataclass
class JanitorHarness:
    """One janitor and what it looks after."""

    store: Store
    settings: Settings
    producers: Producers = field(default_factory=Producers)

    def __post_init__(self) -> None:
        self.line = Dispatch(self.store, self.settings)
        self.steering = Campaigns(self.store, self.settings.store)
        self.ledger: Ledger = campaigns.ledger(self.store)
        self.live = Live(self.store)
        self.janitor = Janitor(
            live=self.live,
            steering=self.steering,
            books=self.ledger,
            line=self.line,
            publisher=self.producers,
        )

    def sweep(self, *, later: float = 0.0) -> list[str]:
        found = self.janitor.sweep(now=self.store.seconds() + later)
        return [finding.what for finding in found]

    def make(self, recipients: int = 4, **more: object) -> PreparedCampaign:
        return campaigns.make(self.store, self.settings, recipients, batch_size=2, **more)

    def send(self, made: PreparedCampaign, number: int) -> None:
        claim = self.ledger.claim(made.ref(number), owner=f"worker {number}")
        self.ledger.begin(claim, claim.open())
        done = [Settled(index=index, outcome=Outcome.ACCEPTED) for index in claim.open()]
        self.ledger.settle(claim, done)
        self.ledger.leave(claim)


@pytest.fixture
def harness(store: Store, settings: Settings) -> JanitorHarness:
    return JanitorHarness(store, settings)


def test_a_campaign_nobody_put_in_line_is_put_there(harness: JanitorHarness) -> None:
    made = harness.make()
    assert harness.sweep() == ["it is not in line for its turn"]
    assert harness.line.route(made.id) == made.route
    assert harness.sweep() == []


def test_a_paused_one_is_left_alone(harness: JanitorHarness) -> None:
    made = harness.make()
    harness.steering.pause(made.id)
    assert harness.sweep() == []
    assert harness.line.route(made.id) is None


def test_one_that_sleeps_past_what_is_due_of_it_is_woken(
    harness: JanitorHarness, store: Store
) -> None:
    """A wake was lost, for its worker died between two steps."""
    made = harness.make()
    harness.line.wake(made.route, within=3600)
    store.client.zadd(store.keys.campaign(made.id).due, dict.fromkeys(made.numbers, now() + 3600))
    assert harness.sweep() == []
    store.client.zadd(store.keys.campaign(made.id).due, {"0": now() + 60})
    assert harness.sweep() == ["it is not in line for its turn"]
    assert harness.line.waiting(made.route.account, made.route.lane) == 1


def test_a_scheduled_one_sleeps_on(harness: JanitorHarness) -> None:
    made = harness.make()
    made.set(send_at=now() + 3600)
    assert harness.sweep() == ["it is not in line for its turn"]
    assert harness.sweep() == []
    assert harness.line.waiting(made.route.account, made.route.lane) == 0


class TestRound:
    def test_a_step_looks_at_those_that_were_unseen_for_the_longest(
        self, harness: JanitorHarness
    ) -> None:
        made = [harness.make() for _ in range(5)]
        looked = []
        for later in range(1, 4):
            harness.janitor.sweep(now=harness.store.seconds() + later, most=2)
            looked.append([one.id for one in made if harness.line.route(one.id)])
        assert [len(ids) for ids in looked] == [2, 4, 5]

    def test_its_time_is_measured_and_doctor_tells_of_a_long_one(
        self, harness: JanitorHarness, settings: Settings
    ) -> None:
        began = harness.store.seconds()
        for _ in range(5):
            harness.make()
        for later in (1, 21, 41):
            harness.janitor.sweep(now=began + later, most=2)
            assert harness.live.round_seconds() is None
        harness.janitor.sweep(now=began + 61, most=2)
        assert harness.live.round_seconds() == pytest.approx(60)
        with Postroom(settings=settings) as client:
            [told] = [one for one in client.examine() if one.where == "janitor"]
        assert (told.what, told.wrong) == (
            "its last round of the 5 campaigns that are not over took 60 s",
            False,
        )

    def test_of_none_that_live_is_over_at_once(self, harness: JanitorHarness) -> None:
        for later in (1, 4):
            harness.janitor.sweep(now=harness.store.seconds() + later, most=2)
        assert harness.live.round_seconds() == pytest.approx(3, abs=0.5)

    def test_one_that_is_over_is_not_looked_at_again(
        self, harness: JanitorHarness, store: Store
    ) -> None:
        """It ended between the look and the note of the look."""
        made = harness.make(2)
        for campaign in harness.live.each_looked_at(now=1.0):
            assert campaign.id == made.id
            harness.line.wake(made.route)
            harness.send(made, 0)
        assert store.client.zcard(store.keys.live) == 0

    def test_doctor_looks_at_some_thousands_and_says_so(
        self, harness: JanitorHarness, store: Store, settings: Settings
    ) -> None:
        halted = harness.make(2)
        halted.set(halted="SES refuses the From address")
        record = store.client.dump(store.keys.campaign(halted.id).campaign)
        names = [f"c{number}" for number in range(5_010)]
        pipeline = store.client.pipeline(transaction=False)
        for name in names:
            pipeline.restore(store.keys.campaign(CampaignId(name)).campaign, 0, record)
            pipeline.hset(store.keys.campaign(CampaignId(name)).campaign, "halted", "")
            pipeline.hset(store.keys.campaign(CampaignId(name)).campaign, "steer", "paused")
        pipeline.zadd(store.keys.live, dict.fromkeys(names, now() + 10))
        pipeline.execute()
        with Postroom(settings=settings) as client:
            found = {one.where: one.what for one in client.examine()}
        assert found["campaigns"] == "looked at 5,000 of 5,011 campaigns, longest unseen first"
        assert found[f"campaign {halted.id}"] == "halted: SES refuses the From address"


class TestEnd:
    def test_that_was_not_written_down_is(self, harness: JanitorHarness, store: Store) -> None:
        made = harness.make(2)
        harness.line.wake(made.route)
        harness.send(made, 0)
        made.set(finished_at="")
        store.client.zadd(store.keys.live, {made.id: 0})
        assert harness.sweep() == ["its end was not written down"]
        assert made.field("finished_at")
        assert store.client.ttl(store.keys.campaign(made.id).ledger) > 0
        assert harness.line.route(made.id) is None
        assert harness.live.campaigns() == []
        assert harness.sweep() == []

    def test_is_written_where_it_happens_and_leaves_nothing_to_sweep(
        self, harness: JanitorHarness, store: Store
    ) -> None:
        made = harness.make(2)
        harness.line.wake(made.route)
        harness.send(made, 0)
        assert made.field("finished_at")
        assert harness.live.campaigns() == []
        assert harness.line.route(made.id) is None
        assert store.client.ttl(store.keys.campaign(made.id).ledger) > 0
        assert harness.sweep() == []

    def test_of_records_that_expired_leaves_no_trace(
        self, harness: JanitorHarness, store: Store
    ) -> None:
        made = harness.make()
        store.client.delete(*store.keys.campaign(made.id).all())
        assert harness.sweep() == ["its records have expired"]
        assert harness.live.campaigns() == []


class TestStopped:
    @pytest.mark.parametrize(
        ("policy", "outcome"),
        [(OnAmbiguous.SKIP, "ambiguous"), (OnAmbiguous.RESEND, "pending")],
    )
    def test_a_dead_workers_call_is_settled_while_the_campaign_is_paused(
        self, harness: JanitorHarness, policy: OnAmbiguous, outcome: str
    ) -> None:
        made = harness.make(on_ambiguous=policy)
        harness.ledger.begin(harness.ledger.claim(made.ref(), owner="dead"), [0, 1])
        harness.steering.pause(made.id)
        assert harness.sweep() == []
        made.lapse()
        assert harness.sweep() == ["a worker died while it was stopped"]
        totals = made.check_books()
        assert totals.sending == 0
        assert getattr(totals, outcome) >= 2

    def test_a_dead_workers_call_is_settled_when_the_campaign_is_cancelled(
        self, harness: JanitorHarness
    ) -> None:
        made = harness.make(on_ambiguous=OnAmbiguous.RESEND)
        harness.ledger.begin(harness.ledger.claim(made.ref(), owner="dead"), [0, 1])
        harness.steering.cancel(made.id)
        made.lapse()
        for _ in range(3):
            harness.sweep()
        assert made.check_books().cancelled == 4
        assert made.field("finished_at")
        assert harness.live.campaigns() == []

    def test_a_cancel_that_was_interrupted_is_finished(self, harness: JanitorHarness) -> None:
        made = harness.make()
        harness.steering.cancel(made.id)
        assert harness.sweep()[0] == "it was stopped half-way"
        assert made.check_books().cancelled == 4
        assert harness.live.campaigns() == []

    @pytest.mark.parametrize(
        "stop", [{"steer": ""}, {"steer": "paused"}, {"halted": "no credentials"}]
    )
    def test_one_whose_time_is_over_expires(
        self, harness: JanitorHarness, stop: dict[str, str]
    ) -> None:
        made = harness.make(not_after=_soon(harness))
        made.set(**stop)
        assert "its time is over" not in harness.sweep()
        assert "its time is over" in harness.sweep(later=60)
        harness.sweep(later=60)
        assert made.check_books().expired == 4
        assert harness.live.campaigns() == []

    def test_one_that_is_done_does_not(self, harness: JanitorHarness) -> None:
        made = harness.make(2, not_after=_soon(harness))
        harness.send(made, 0)
        assert "its time is over" not in harness.sweep(later=60)
        assert made.check_books().accepted == 2


class TestSplit:
    def test_that_stopped_is_asked_for_again_but_not_all_the_time(
        self, harness: JanitorHarness, store: Store
    ) -> None:
        made = harness.make(split=False)
        harness.line.wake(made.route)
        assert harness.sweep() == []
        assert harness.sweep(later=60) == ["nobody splits it"]
        harness.sweep(later=60)
        assert harness.producers.asked == [made.id]

    def test_of_a_draft_is_its_submitters_affair(self, harness: JanitorHarness) -> None:
        draft = _draft(harness)
        assert harness.sweep() == []
        assert harness.sweep(later=3600) == []
        assert harness.producers.asked == []
        assert [one.id for one in harness.live.campaigns()] == [draft]


class TestTogether:
    def test_a_draft_whose_time_is_over_keeps_nobody_waiting(self, harness: JanitorHarness) -> None:
        _draft(harness, not_after=_soon(harness))
        made = harness.make()
        assert "it is not in line for its turn" in harness.sweep(later=60)
        assert harness.line.route(made.id) == made.route

    def test_many_sweepers_at_once_do_no_harm(self, harness: JanitorHarness) -> None:
        from concurrent.futures import ThreadPoolExecutor

        made = [harness.make(on_ambiguous=OnAmbiguous.RESEND) for _ in range(3)]
        for one in made:
            harness.ledger.begin(harness.ledger.claim(one.ref(), owner="dead"), [0, 1])
            harness.steering.cancel(one.id)
            one.lapse()
        with ThreadPoolExecutor(6) as sweepers:
            list(sweepers.map(lambda _: harness.sweep(), range(18)))
        harness.sweep()
        assert [one.check_books().cancelled for one in made] == [4, 4, 4]
        assert harness.live.campaigns() == []


class TestLapsed:
    """A dead worker's batch of a campaign that goes on comes back by its own time."""

    @pytest.fixture
    def post(self, store: Store, settings: Settings) -> Iterator[WorkerHarness]:
        one = WorkerHarness(store, quick(settings), FakeCarrier())
        one.allow()
        yield one
        one.close()

    def test_is_released_and_sent_by_another(self, post: WorkerHarness) -> None:
        made = post.make(100)
        post.ledger.begin(post.ledger.claim(made.ref(), owner="dead"), range(50))
        post.dispatch.announce("heir", {Lane.BULK: 2, Lane.TRANSACTIONAL: 2})
        post.dispatch.wake(made.route)
        release(post.dispatch, post.worker.publisher)
        assert self.queued(post) == 0
        made.lapse()
        post.dispatch.wake(made.route)
        release(post.dispatch, post.worker.publisher)
        assert self.queued(post) == 1
        assert post.worker.send_batch(made.ref()) == 50
        totals = made.check_books()
        assert (totals.ambiguous, totals.accepted) == (50, 50)

    def queued(self, post: WorkerHarness) -> int:
        found: int = post.store.client.llen("postroom:celery:batches")
        return found


def _soon(harness: JanitorHarness) -> object:
    from postroom.clock import utc

    return utc(harness.store.seconds() + 30)


def _draft(harness: JanitorHarness, **more: object) -> CampaignId:
    campaign = Campaign(
        name="Draft", sender=SenderName("news"), subject="Hello", text="Dear reader", **more
    )
    campaign_id = new_campaign_id(now)
    drafts = Drafts(harness.store, harness.settings.store)
    drafts.open(campaign_id, campaign, Source(), key="")
    drafts.make_ready(campaign_id, key="")
    return campaign_id


def test_campaigns_whose_records_have_expired_leave_the_list_also_where_nobody_looks(
    harness: JanitorHarness,
) -> None:
    made = harness.make()
    client, keys = harness.store.client, harness.store.keys
    client.zadd(keys.campaigns, {f"gone-{number}": number + 1 for number in range(300)})
    client.zadd(keys.campaigns, {made.id: 0})
    while client.zcard(keys.campaigns) > 1:
        harness.janitor.steering.forget_expired()
    assert client.zrange(keys.campaigns, 0, -1) == [made.id.encode()]
