"""Pause, resume, cancel: each may be repeated, and says why when it makes no sense."""

from collections.abc import Callable
from itertools import takewhile

import pytest

from postroom.errors import RefusedError
from postroom.model import AccountName, CampaignId, Lane, State
from postroom.store.budget import Budget
from postroom.store.campaigns import Campaigns
from postroom.store.dispatch import Dispatch
from tests.support.client_harness import ClientHarness, campaign

ROWS = [f"person{n}@x.example" for n in range(2_500)]


@pytest.fixture
def going(harness: ClientHarness) -> CampaignId:
    """A campaign whose batches may be sent."""
    campaign_id = harness.submitted(ROWS, batch_size=3)
    harness.split(campaign_id)
    return campaign_id


def mark(
    harness: ClientHarness, campaign_id: CampaignId, at: int, code: bytes, counter: str
) -> None:
    """Enter one recipient in another state, as a worker would."""
    keys = harness.store.keys.campaign(campaign_id)
    harness.store.client.setrange(keys.ledger, at, code)
    harness.store.client.hincrby(keys.campaign, "pending", -1)
    harness.store.client.hincrby(keys.campaign, counter, 1)


def test_pause_and_resume_may_be_repeated(harness: ClientHarness, going: CampaignId) -> None:
    for _ in range(2):
        harness.post.pause(going)
        assert harness.post.status(going).state is State.PAUSED
    for _ in range(2):
        harness.post.resume(going)
        assert harness.post.status(going).state is State.SENDING


def test_pause_takes_a_campaign_out_of_the_line_and_resume_puts_it_back(
    harness: ClientHarness, going: CampaignId
) -> None:
    dispatch = Dispatch(harness.store, harness.settings)
    assert dispatch.waiting(AccountName("main"), Lane.BULK) == 1
    harness.post.pause(going)
    assert dispatch.waiting(AccountName("main"), Lane.BULK) == 0
    harness.post.resume(going)
    assert dispatch.route(going) is not None
    assert dispatch.waiting(AccountName("main"), Lane.BULK) == 1


def test_a_scheduled_campaign_that_is_resumed_sleeps_on_to_its_moment(
    harness: ClientHarness, going: CampaignId
) -> None:
    dispatch, keys = Dispatch(harness.store, harness.settings), harness.store.keys
    moment = harness.store.seconds() + 3600
    harness.store.client.hset(keys.campaign(going).campaign, "send_at", moment)
    harness.post.pause(going)
    assert harness.store.client.zscore(keys.dispatch("asleep"), going) is None
    harness.post.resume(going)
    assert dispatch.waiting(AccountName("main"), Lane.BULK) == 0
    until = harness.store.client.zscore(keys.dispatch("asleep"), going)
    assert abs(until - moment) < 0.001
    harness.post.cancel(going)
    assert harness.store.client.zscore(keys.dispatch("asleep"), going) is None


def test_resume_ends_a_halt_of_the_campaign_and_of_its_account(
    harness: ClientHarness, going: CampaignId
) -> None:
    own = harness.store.keys.campaign(going).campaign
    harness.store.client.hset(own, "halted", "SES refuses the From address")
    budget = Budget(harness.store)
    budget.halt(AccountName("main"), "sending is paused for this account")
    status = harness.post.status(going)
    assert (status.state, status.reason) == (State.HALTED, "SES refuses the From address")
    harness.post.resume(going)
    assert harness.post.status(going).state is State.SENDING
    assert budget.status(AccountName("main")).halted == ""


def test_a_halted_account_shows_at_its_campaigns(harness: ClientHarness, going: CampaignId) -> None:
    Budget(harness.store).halt(AccountName("main"), "credentials were revoked")
    status = harness.post.status(going)
    assert status.state is State.WAITING
    assert status.reason == (
        "account main is halted: credentials were revoked; when that is mended: "
        "postroom account resume main"
    )


def test_a_paused_account_shows_at_its_campaigns_and_is_no_halt(
    harness: ClientHarness, going: CampaignId
) -> None:
    harness.post.pause_account(AccountName("main"))
    status = harness.post.status(going)
    assert status.state is State.WAITING
    assert "paused by a person" in status.reason
    harness.post.resume(going)
    assert harness.post.account(AccountName("main")).paused
    harness.post.resume_account(AccountName("main"))
    assert harness.post.status(going).state is State.SENDING


def test_resume_lets_the_account_go_before_its_campaign(
    harness: ClientHarness, going: CampaignId
) -> None:
    """Else a worker could take the campaign in between, and find its account halted still."""
    Budget(harness.store).halt(AccountName("main"), "credentials were revoked")
    own = harness.store.keys.campaign(going).campaign
    budget = harness.store.keys.account(AccountName("main")).budget
    with harness.store.client.monitor() as monitor:
        seen = monitor.listen()
        harness.post.resume(going)
        harness.store.client.echo("that was all")
        lines = (line["command"] for line in seen)
        said = list(takewhile(lambda line: "that was all" not in line, lines))
    [release_hold] = [at for at, line in enumerate(said) if line.startswith(f"HDEL {budget}")]
    [steered] = [at for at, line in enumerate(said) if f"{own} resume" in line]
    assert release_hold < steered


def test_a_held_account_shows_why_and_until_when(harness: ClientHarness, going: CampaignId) -> None:
    dispatch = Dispatch(harness.store, harness.settings)
    dispatch.hold(AccountName("main"), Lane.BULK, seconds=3600, reason="the quota is spent")
    status = harness.post.status(going)
    assert status.state is State.WAITING
    assert status.reason.startswith("the quota is spent; goes on at ")


def test_cancel_closes_the_books_at_once_and_may_be_repeated(
    harness: ClientHarness, going: CampaignId
) -> None:
    mark(harness, going, 4, b"a", "accepted")
    harness.post.cancel(going)
    status = harness.checked(going)
    assert (status.state, status.totals.cancelled) == (State.CANCELLED, 2_499)
    assert (status.totals.accepted, status.totals.pending) == (1, 0)
    assert status.finished_at is not None
    harness.post.cancel(going)
    assert harness.checked(going) == status
    keys = harness.store.keys.campaign(going)
    assert harness.store.client.exists(keys.due) == 0
    assert 0 < harness.store.client.ttl(keys.ledger) <= harness.settings.store.retention_seconds
    assert harness.store.client.zcard(harness.store.keys.live) == 0


def test_cancel_leaves_alone_who_is_being_sent(harness: ClientHarness, going: CampaignId) -> None:
    mark(harness, going, 4, b"s", "sending")
    harness.post.cancel(going)
    status = harness.checked(going)
    assert (status.totals.sending, status.totals.cancelled) == (1, 2_499)
    assert (status.state, status.finished_at) == (State.CANCELLED, None)
    keys = harness.store.keys.campaign(going)
    assert harness.store.client.zrange(keys.due, 0, -1) == [b"1"]
    assert harness.store.client.ttl(keys.campaign) == -1


def test_what_is_paused_loses_nobody_to_a_sweep(harness: ClientHarness, going: CampaignId) -> None:
    """It was resumed and paused again, perhaps, since whoever sweeps has looked."""
    harness.post.pause(going)
    assert Campaigns(harness.store, harness.settings.store).close_pending(going) == 0
    assert harness.checked(going).totals.pending == 2_500


def test_a_sweep_that_was_interrupted_is_ended_by_whoever_repeats_it(
    harness: ClientHarness, going: CampaignId
) -> None:
    campaigns = Campaigns(harness.store, harness.settings.store)
    campaigns.cancel(going)
    keys = harness.store.keys.campaign(going)
    own = [keys.campaign, keys.ledger, keys.due]
    assert harness.store.run("close_pending", own, [0, 100]) == [300, 0]
    harness.checked(going)
    assert campaigns.close_pending(going) == 2_200
    assert campaigns.close_pending(going) == 0
    assert harness.checked(going).totals.cancelled == 2_500


def test_an_expired_campaign_counts_the_rest_as_expired(
    harness: ClientHarness, going: CampaignId
) -> None:
    campaigns = Campaigns(harness.store, harness.settings.store)
    campaigns.expire(going)
    campaigns.close_pending(going)
    status = harness.checked(going)
    assert (status.state, status.totals.expired) == (State.EXPIRED, 2_500)


def test_a_campaign_that_may_send_is_not_swept(harness: ClientHarness, going: CampaignId) -> None:
    before = harness.checked(going)
    assert Campaigns(harness.store, harness.settings.store).close_pending(going) == 0
    assert harness.checked(going) == before


def cancel(harness: ClientHarness, campaign_id: CampaignId) -> None:
    harness.post.cancel(campaign_id)


def finish(harness: ClientHarness, campaign_id: CampaignId) -> None:
    own = harness.store.keys.campaign(campaign_id).campaign
    harness.store.client.hset(own, mapping={"pending": 0, "accepted": 2_500, "finished_at": "1"})


def expire(harness: ClientHarness, campaign_id: CampaignId) -> None:
    Campaigns(harness.store, harness.settings.store).expire(campaign_id)


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (cancel, "it was cancelled"),
        (finish, "it has finished"),
        (expire, "not_after has passed"),
    ],
)
def test_what_is_over_cannot_be_steered(
    harness: ClientHarness,
    going: CampaignId,
    end: Callable[[ClientHarness, CampaignId], None],
    why: str,
) -> None:
    end(harness, going)
    for steer in (harness.post.pause, harness.post.resume):
        with pytest.raises(RefusedError, match=why):
            steer(going)
    if why != "it was cancelled":
        with pytest.raises(RefusedError, match=f"cannot cancel campaign {going}: .*{why}"):
            harness.post.cancel(going)


def test_the_key_of_a_campaign_that_is_over_expires_with_its_records(
    harness: ClientHarness,
) -> None:
    submission = harness.post.submit(campaign(), ROWS[:2], key="spring")
    name = harness.store.keys.submitted("spring")
    assert harness.store.client.ttl(name) == -1
    harness.split(submission.id)
    harness.post.cancel(submission.id)
    assert 0 < harness.store.client.ttl(name) <= harness.settings.store.retention_seconds


def test_watch_ends_with_the_campaign(harness: ClientHarness, going: CampaignId) -> None:
    steps = iter([harness.post.pause, harness.post.cancel])
    seen = harness.post.watch(going, sleep=lambda _: next(steps)(going))
    assert [status.state for status in seen] == [State.SENDING, State.PAUSED, State.CANCELLED]
