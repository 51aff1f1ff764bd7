"""The ledger: every step repeats without harm, and no worker writes what is another's."""

from collections.abc import Callable

import pytest

from postroom import wire
from postroom.errors import CampaignStoppedError, LeaseLostError
from postroom.model import OnAmbiguous, Outcome, Settled
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.ledger import Claim, Ledger, NotClaimed
from postroom.store.live import Live
from postroom.store.report import Reports
from tests.support import campaigns
from tests.support.campaigns import PreparedCampaign
from tests.support.redis_clock import ClockedStore

Make = Callable[..., PreparedCampaign]


@pytest.fixture
def make(store: Store, settings: Settings) -> Make:
    return lambda *args, **more: campaigns.make(store, settings, *args, **more)


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return campaigns.ledger(store)


def settled(outcome: Outcome, *indexes: int, reason: str = "") -> list[Settled]:
    return [Settled(index=index, outcome=outcome, reason=reason) for index in indexes]


def refusal(
    ledger: Ledger, made: PreparedCampaign, number: int = 0, *, owner: str = "late"
) -> NotClaimed:
    with pytest.raises(NotClaimed) as caught:
        ledger.claim(made.ref(number), owner=owner)
    return caught.value


def send(ledger: Ledger, claim: Claim, *indexes: int) -> None:
    ledger.begin(claim, indexes)
    ledger.settle(claim, settled(Outcome.ACCEPTED, *indexes))


class TestClaim:
    def test_gives_what_is_open_and_who_they_are(self, make: Make, ledger: Ledger) -> None:
        made = make(7, batch_size=4)
        claim = ledger.claim(made.ref(1), owner="me")
        batch = wire.decode_batch(claim.ref, claim.recipients)
        assert [one.email for one in batch.recipients] == list(made.addresses[4:])
        assert claim.open() == [0, 1, 2]

    def test_of_another_finds_it_busy(
        self, make: Make, ledger: Ledger, store: ClockedStore
    ) -> None:
        made = make()
        store.stop_the_clock()
        ledger.claim(made.ref(), owner="me")
        answer = refusal(ledger, made)
        assert answer.why == "busy"
        assert int(answer.detail) == pytest.approx(30_000, abs=1)

    def test_repeated_after_a_lost_reply_holds_and_the_first_is_fenced(
        self, make: Make, ledger: Ledger
    ) -> None:
        made = make()
        lost = ledger.claim(made.ref(), owner="me")
        again = ledger.claim(made.ref(), owner="me")
        assert again.fence > lost.fence
        with pytest.raises(LeaseLostError):
            ledger.begin(lost, [0])
        send(ledger, again, *range(10))
        assert made.check_books().accepted == 10

    def test_is_due_again_when_its_lease_lapses(
        self, make: Make, ledger: Ledger, store: ClockedStore
    ) -> None:
        """Whoever dies before the first call: another must not wait for the longer grace."""
        made = make()
        store.stop_the_clock()
        store.client.zadd(store.keys.campaign(made.id).due, {"0": store.seconds() + 60})
        ledger.claim(made.ref(), owner="me")
        assert (made.due() or 0) - store.seconds() == pytest.approx(30, abs=0.001)

    def test_fences_the_last_one_though_the_clock_was_set_back(
        self, make: Make, ledger: Ledger, store: ClockedStore
    ) -> None:
        made = make()
        store.stop_the_clock()
        first = ledger.claim(made.ref(), owner="me")
        store.pass_time(-3600)
        assert ledger.claim(made.ref(), owner="me").fence > first.fence

    def test_fences_one_from_a_time_that_redis_forgot(
        self, make: Make, ledger: Ledger, store: Store
    ) -> None:
        made = make()
        forgotten = ledger.claim(made.ref(), owner="me")
        # Redis came back from a file that is older than the claim.
        store.client.hdel(store.keys.campaign(made.id).campaign, "fence")
        store.client.delete(store.keys.campaign(made.id).leases)
        ledger.claim(made.ref(), owner="another")
        with pytest.raises(LeaseLostError):
            ledger.begin(forgotten, [0])

    def test_of_a_batch_that_does_not_exist(self, make: Make, ledger: Ledger) -> None:
        made = make()
        assert refusal(ledger, made, 99).why == "missing"
        assert refusal(ledger, made, -1).why == "missing"
        assert made.check_books().pending == 10

    def test_of_a_campaign_that_does_not_exist(self, make: Make, ledger: Ledger) -> None:
        made = make()
        made.store.client.flushall()
        assert refusal(ledger, made).why == "missing"

    def test_of_a_batch_that_is_done(self, make: Make, ledger: Ledger) -> None:
        made = make(4, batch_size=2)
        claim = ledger.claim(made.ref(), owner="me")
        send(ledger, claim, 0, 1)
        assert ledger.leave(claim)
        assert refusal(ledger, made).why == "done"
        assert made.due() is None

    @pytest.mark.parametrize("steer", ["paused", "cancelled", "expired"])
    def test_of_a_stopped_campaign(self, make: Make, ledger: Ledger, steer: str) -> None:
        made = make()
        made.set(steer=steer)
        answer = refusal(ledger, made)
        assert (answer.why, answer.detail) == ("stopped", steer)

    def test_of_a_halted_campaign(self, make: Make, ledger: Ledger) -> None:
        made = make()
        assert ledger.halt(made.id, "a reason")
        assert not ledger.halt(made.id, "another reason")
        assert made.field("halted") == "a reason"
        assert refusal(ledger, made).detail == "halted"

    def test_before_send_at(self, make: Make, ledger: Ledger) -> None:
        made = make()
        made.set(send_at=made.store.seconds() + 60)
        assert refusal(ledger, made).detail == "scheduled"

    def test_after_not_after_expires_the_campaign(self, make: Make, ledger: Ledger) -> None:
        made = make()
        made.set(not_after=made.store.seconds() - 1)
        assert refusal(ledger, made).detail == "expired"
        assert made.field("steer") == "expired"

    def test_refused_for_a_pause_is_looked_at_at_once_after_it(
        self, make: Make, ledger: Ledger
    ) -> None:
        """It was released, so its grace runs; whoever resumes must not wait for that to end."""
        made = make()
        made.store.client.zadd(
            made.store.keys.campaign(made.id).due, {"0": made.store.seconds() + 60}
        )
        made.set(steer="paused")
        refusal(ledger, made)
        assert (made.due() or 0) <= made.store.seconds()


class TestLapsedLease:
    def test_under_skip_leaves_in_doubt_what_was_being_sent(
        self, make: Make, ledger: Ledger
    ) -> None:
        made = make()
        dead = ledger.claim(made.ref(), owner="dead")
        send(ledger, dead, 0, 1)
        ledger.begin(dead, [2, 3, 4])
        made.lapse()
        claim = ledger.claim(made.ref(), owner="heir")
        totals = made.check_books()
        assert (totals.ambiguous, totals.accepted, totals.sending) == (3, 2, 0)
        assert claim.open() == [5, 6, 7, 8, 9]

    def test_under_resend_sends_it_again_but_never_what_was_accepted(
        self, make: Make, ledger: Ledger
    ) -> None:
        made = make(on_ambiguous=OnAmbiguous.RESEND)
        dead = ledger.claim(made.ref(), owner="dead")
        send(ledger, dead, 0, 1)
        ledger.begin(dead, [2, 3, 4])
        made.lapse()
        claim = ledger.claim(made.ref(), owner="heir")
        totals = made.check_books()
        assert (totals.ambiguous, totals.pending) == (0, 8)
        assert claim.open() == [2, 3, 4, 5, 6, 7, 8, 9]

    def test_lapses_by_itself(self, make: Make, store: ClockedStore) -> None:
        made = make()
        store.stop_the_clock()
        short = campaigns.ledger(store, lease_seconds=0.05)
        short.claim(made.ref(), owner="dead")
        answer = refusal(short, made)
        assert answer.why == "busy"
        store.pass_time(0.051)
        assert _claims(short, made)

    def test_a_zombie_neither_sends_nor_settles(self, make: Make, ledger: Ledger) -> None:
        made = make()
        zombie = ledger.claim(made.ref(), owner="zombie")
        ledger.begin(zombie, [0, 1])
        made.lapse()
        heir = ledger.claim(made.ref(), owner="heir")
        with pytest.raises(LeaseLostError):
            ledger.begin(zombie, [2])
        with pytest.raises(LeaseLostError):
            ledger.settle(zombie, settled(Outcome.ACCEPTED, 0, 1))
        with pytest.raises(LeaseLostError):
            ledger.leave(zombie)
        send(ledger, heir, 2)
        totals = made.check_books()
        assert (totals.ambiguous, totals.accepted) == (2, 1)

    def test_a_late_worker_whom_nobody_replaced_may_settle(
        self, make: Make, ledger: Ledger
    ) -> None:
        made = make()
        late = ledger.claim(made.ref(), owner="late")
        ledger.begin(late, [0])
        made.lapse()
        ledger.settle(late, settled(Outcome.ACCEPTED, 0))
        assert made.check_books().accepted == 1

    def test_of_a_paused_campaign_is_settled_too(self, make: Make, ledger: Ledger) -> None:
        made = make()
        ledger.begin(ledger.claim(made.ref(), owner="dead"), [0, 1])
        made.set(steer="paused")
        made.lapse()
        assert Live(made.store).lapsed(made.id, most=10) == [0]
        assert refusal(ledger, made).why == "stopped"
        assert made.check_books().ambiguous == 2

    def test_a_batch_that_kills_its_workers_is_poison(self, make: Make, store: Store) -> None:
        made, strict = make(), campaigns.ledger(store, max_crashes=3)
        for worker in ("first", "second", "third"):
            strict.claim(made.ref(), owner=worker)
            made.lapse()
        answer = refusal(strict, made)
        assert (answer.why, answer.detail) == ("poison", "3")
        assert made.check_books().pending == 10

    def test_poison_is_tried_again_once_a_person_resumes(self, make: Make, store: Store) -> None:
        made, strict = make(), campaigns.ledger(store, max_crashes=1)
        strict.claim(made.ref(), owner="first")
        made.lapse()
        assert refusal(strict, made).why == "poison"
        strict.halt(made.id, "poison")
        made.set(halted="")
        send(strict, strict.claim(made.ref(), owner="after"), *range(10))
        assert made.check_books().accepted == 10

    def test_whoever_gets_on_is_no_poison(self, make: Make, store: Store) -> None:
        """Workers are killed for many reasons: only a batch that never gets on is to blame."""
        made, strict = make(), campaigns.ledger(store, max_crashes=2)
        for index in range(10):
            send(strict, strict.claim(made.ref(), owner=f"worker {index}"), index)
            if index < 9:
                made.lapse()
        assert made.check_books().accepted == 10

    def test_whoever_settles_nobody_has_not_got_on(self, make: Make, store: Store) -> None:
        """It is throttled, say, and dies at the next call, as the one before."""
        made, strict = make(), campaigns.ledger(store, max_crashes=2)
        for worker in ("first", "second"):
            claim = strict.claim(made.ref(), owner=worker)
            strict.begin(claim, [0])
            strict.settle(claim, settled(Outcome.PENDING, 0))
            made.lapse()
        assert refusal(strict, made).why == "poison"


class TestBegin:
    def test_repeated_changes_the_books_once(self, make: Make, ledger: Ledger) -> None:
        made = make()
        claim = ledger.claim(made.ref(), owner="me")
        ledger.begin(claim, [0, 1, 4, 5])
        ledger.begin(claim, [0, 1, 4, 5])
        assert made.check_books().sending == 4
        assert made.ledger == b"ssppsspppp"

    def test_renews_the_lease(self, make: Make, ledger: Ledger) -> None:
        made = make()
        claim = ledger.claim(made.ref(), owner="me")
        made.lapse()
        before = made.store.seconds()
        ledger.begin(claim, [0])
        assert refusal(ledger, made).why == "busy"
        assert (made.due() or 0) >= before + 30 - 0.001

    def test_never_takes_up_what_is_settled(self, make: Make, ledger: Ledger) -> None:
        made = make()
        claim = ledger.claim(made.ref(), owner="me")
        send(ledger, claim, 3)
        with pytest.raises(LeaseLostError):
            ledger.begin(claim, [2, 3])
        assert made.check_books().sending == 0

    @pytest.mark.parametrize(
        "stop", [{"steer": "paused"}, {"steer": "cancelled"}, {"halted": "why"}]
    )
    def test_is_the_last_gate_before_a_call(
        self, make: Make, ledger: Ledger, stop: dict[str, str]
    ) -> None:
        made = make()
        claim = ledger.claim(made.ref(), owner="me")
        made.set(**stop)
        with pytest.raises(CampaignStoppedError):
            ledger.begin(claim, [0])
        assert made.check_books().sending == 0

    def test_after_not_after_expires_the_campaign(self, make: Make, ledger: Ledger) -> None:
        made = make()
        claim = ledger.claim(made.ref(), owner="me")
        made.set(not_after=made.store.seconds() - 1)
        with pytest.raises(CampaignStoppedError):
            ledger.begin(claim, [0])
        assert made.field("steer") == "expired"

    def test_whose_reply_was_lost_while_the_campaign_was_paused_is_undone(
        self, make: Make, ledger: Ledger
    ) -> None:
        """The call never left: nobody of it may stay `sending` under a lease given back."""
        made = make()
        claim = ledger.claim(made.ref(), owner="me")
        ledger.begin(claim, [0, 1])
        made.set(steer="paused")
        with pytest.raises(CampaignStoppedError):
            ledger.begin(claim, [0, 1])
        ledger.leave(claim)
        made.set(steer="")
        following = ledger.claim(made.ref(), owner="next")
        send(ledger, following, *following.open())
        assert made.check_books().accepted == 10


class TestSettle:
    def test_repeated_changes_the_books_once(self, make: Make, ledger: Ledger) -> None:
        made = make()
        claim = ledger.claim(made.ref(), owner="me")
        ledger.begin(claim, [0, 1, 2, 5])
        outcome = [
            *settled(Outcome.ACCEPTED, 0),
            *settled(Outcome.REJECTED, 1, reason="no"),
            *settled(Outcome.AMBIGUOUS, 2),
            *settled(Outcome.PENDING, 5),
        ]
        ledger.settle(claim, outcome)
        first = made.check_books()
        ledger.settle(claim, outcome)
        assert made.check_books() == first
        assert (first.accepted, first.rejected, first.ambiguous, first.pending) == (1, 1, 1, 7)

    def test_of_a_campaign_cancelled_meanwhile_cancels_what_would_go_again(
        self, make: Make, ledger: Ledger
    ) -> None:
        made = make()
        claim = ledger.claim(made.ref(), owner="me")
        ledger.begin(claim, [0, 1])
        made.set(steer="cancelled")
        ledger.settle(claim, [*settled(Outcome.ACCEPTED, 0), *settled(Outcome.PENDING, 1)])
        totals = made.check_books()
        assert (totals.accepted, totals.cancelled, totals.pending) == (1, 1, 8)

    def test_interns_reasons(self, make: Make, ledger: Ledger) -> None:
        made = make(3)
        claim = ledger.claim(made.ref(), owner="me")
        ledger.begin(claim, [0, 1, 2])
        ledger.settle(claim, settled(Outcome.REJECTED, 0, 2, reason="is full"))
        ledger.settle(claim, settled(Outcome.REJECTED, 1, reason="is gone"))
        assert made.ledger == bytes([128, 129, 128])
        rows = [(row.outcome, row.reason) for row in Reports(made.store).rows(made.id)]
        assert rows == [(Outcome.REJECTED, f"is {why}") for why in ("full", "gone", "full")]

    def test_caps_the_reasons_and_counts_everybody(self, make: Make, ledger: Ledger) -> None:
        made = make(140)
        claim = ledger.claim(made.ref(), owner="me")
        ledger.begin(claim, range(140))
        for start in range(0, 140, 20):
            outcomes = [
                settled(Outcome.REJECTED, at, reason=f"reason {at}")
                for at in range(start, start + 20)
            ]
            ledger.settle(claim, [one for several in outcomes for one in several])
        assert made.check_books().rejected == 140
        reasons = [row.reason for row in Reports(made.store).rows(made.id)]
        assert reasons[:127] == [f"reason {at}" for at in range(127)]
        assert set(reasons[127:]) == {"other reasons"}


class TestLeave:
    def test_parks_what_is_open(self, make: Make, ledger: Ledger, store: ClockedStore) -> None:
        made = make()
        claim = ledger.claim(made.ref(), owner="me")
        send(ledger, claim, 0)
        store.stop_the_clock()
        assert not ledger.leave(claim, wake_seconds=40, tries_spent=True)
        assert (made.due() or 0) - store.seconds() == pytest.approx(40, abs=0.001)
        store.pass_time(40)
        assert ledger.claim(made.ref(), owner="next").parks == 1

    def test_repeated_does_not_count_twice_nor_touch_another(
        self, make: Make, ledger: Ledger
    ) -> None:
        made = make()
        claim = ledger.claim(made.ref(), owner="me")
        ledger.leave(claim, tries_spent=True)
        with pytest.raises(LeaseLostError):
            ledger.leave(claim, tries_spent=True)
        held = ledger.claim(made.ref(), owner="next")
        with pytest.raises(LeaseLostError):
            ledger.leave(claim, tries_spent=True)
        assert held.parks == 1
        ledger.begin(held, [0])

    def test_what_was_begun_and_never_settled_is_in_doubt(self, make: Make, ledger: Ledger) -> None:
        made = make()
        claim = ledger.claim(made.ref(), owner="me")
        ledger.begin(claim, [0, 1])
        ledger.leave(claim)
        heir = ledger.claim(made.ref(), owner="next")
        assert made.check_books().ambiguous == 2
        assert heir.open() == list(range(2, 10))

    def test_with_nobody_left_but_those_in_doubt_it_is_looked_at_again(
        self, make: Make, ledger: Ledger
    ) -> None:
        """A run that ended between begin and settle: else they were `sending` for ever."""
        made = make(2)
        claim = ledger.claim(made.ref(), owner="me")
        ledger.begin(claim, [0, 1])
        assert not ledger.leave(claim)
        assert made.due() is not None
        assert refusal(ledger, made).why == "done"
        assert made.check_books().ambiguous == 2


class TestEnd:
    def test_the_last_settle_finishes_the_campaign(self, make: Make, ledger: Ledger) -> None:
        made = make(3, batch_size=2)
        for number in made.numbers:
            claim = ledger.claim(made.ref(number), owner="me")
            assert made.field("finished_at") == ""
            send(ledger, claim, *claim.open())
        assert float(made.field("finished_at")) > 0
        keys = made.store.keys.campaign(made.id).all()
        lives = {made.store.client.ttl(key) for key in keys} - {-2}
        assert len(lives) == 1
        assert 3590 < lives.pop() <= 3600

    def test_not_before_the_split_is_done(self, make: Make, ledger: Ledger) -> None:
        made = make(2, split=False)
        send(ledger, ledger.claim(made.ref(), owner="me"), 0, 1)
        assert made.field("finished_at") == ""
        assert not ledger.finish(made.id)

    def test_of_a_cancelled_campaign_when_its_last_call_is_settled(
        self, make: Make, ledger: Ledger, settings: Settings
    ) -> None:
        from postroom.store.campaigns import Campaigns

        made = make()
        claim = ledger.claim(made.ref(), owner="me")
        ledger.begin(claim, [0])
        steering = Campaigns(made.store, settings.store)
        steering.cancel(made.id)
        assert steering.close_pending(made.id) == 9
        assert made.check_books().sending == 1
        assert made.field("finished_at") == ""
        ledger.settle(claim, settled(Outcome.ACCEPTED, 0))
        assert made.field("finished_at")
        assert ledger.leave(claim)
        assert made.check_books().cancelled == 9

    def test_finish_keeps_the_first_date(self, make: Make, ledger: Ledger) -> None:
        made = make(1)
        send(ledger, ledger.claim(made.ref(), owner="me"), 0)
        first = made.field("finished_at")
        assert ledger.finish(made.id)
        assert made.field("finished_at") == first


def _claims(ledger: Ledger, made: PreparedCampaign) -> bool:
    try:
        ledger.claim(made.ref(), owner="heir")
    except NotClaimed:
        return False
    return True
