"""Pause, resume, cancel: each may be repeated, and says why when it makes no sense."""

from collections.abc import Callable
from itertools import takewhile

import pytest

from postroom.errors import RefusedError
from postroom.model import AccountName, CampaignId, Lane, State
from postroom.store.budget import Budget
from postroom.store.campaigns import Campaigns
from postroom.store.dispatch import Dispatch
from tests.support.office import Office, campaign

ROWS = [f"person{n}@x.example" for n in range(2_500)]


@pytest.fixture
def going(office: Office) -> CampaignId:
    """A campaign whose batches may be sent."""
    campaign_id = office.submitted(ROWS, batch_size=3)
    office.split(campaign_id)
    return campaign_id


def mark(office: Office, campaign_id: CampaignId, at: int, code: bytes, counter: str) -> None:
    """Enter one recipient in another state, as a worker would."""
    keys = office.store.keys.campaign(campaign_id)
    office.store.client.setrange(keys.ledger, at, code)
    office.store.client.hincrby(keys.campaign, "pending", -1)
    office.store.client.hincrby(keys.campaign, counter, 1)


def test_pause_and_resume_may_be_repeated(office: Office, going: CampaignId) -> None:
    for _ in range(2):
        office.post.pause(going)
        assert office.post.status(going).state is State.PAUSED
    for _ in range(2):
        office.post.resume(going)
        assert office.post.status(going).state is State.SENDING


def test_pause_takes_a_campaign_out_of_the_line_and_resume_puts_it_back(
    office: Office, going: CampaignId
) -> None:
    dispatch = Dispatch(office.store, office.settings)
    turns = office.store.keys.turns(AccountName("main"), Lane.BULK).turns
    assert office.store.client.zcard(turns) == 1
    office.post.pause(going)
    assert office.store.client.zcard(turns) == 0
    office.post.resume(going)
    assert dispatch.route(going) is not None
    assert office.store.client.zcard(turns) == 1


def test_resume_ends_a_halt_of_the_campaign_and_of_its_account(
    office: Office, going: CampaignId
) -> None:
    own = office.store.keys.campaign(going).campaign
    office.store.client.hset(own, "halted", "SES refuses the From address")
    budget = Budget(office.store)
    budget.halt(AccountName("main"), "sending is paused for this account")
    status = office.post.status(going)
    assert (status.state, status.reason) == (State.HALTED, "SES refuses the From address")
    office.post.resume(going)
    assert office.post.status(going).state is State.SENDING
    assert budget.status(AccountName("main")).halted == ""


def test_a_halted_account_shows_at_its_campaigns(office: Office, going: CampaignId) -> None:
    Budget(office.store).halt(AccountName("main"), "credentials were revoked")
    status = office.post.status(going)
    assert status.state is State.WAITING
    assert status.reason == (
        "account main is halted: credentials were revoked; when that is mended: "
        "postroom account resume main"
    )


def test_a_paused_account_shows_at_its_campaigns_and_is_no_halt(
    office: Office, going: CampaignId
) -> None:
    office.post.pause_account(AccountName("main"))
    status = office.post.status(going)
    assert status.state is State.WAITING
    assert "paused by a person" in status.reason
    office.post.resume(going)
    assert office.post.account(AccountName("main")).paused
    office.post.resume_account(AccountName("main"))
    assert office.post.status(going).state is State.SENDING


def test_resume_lets_the_account_go_before_its_campaign(office: Office, going: CampaignId) -> None:
    """Else a worker could take the campaign in between, and find its account halted still."""
    Budget(office.store).halt(AccountName("main"), "credentials were revoked")
    own = office.store.keys.campaign(going).campaign
    budget = office.store.keys.account(AccountName("main")).budget
    with office.store.client.monitor() as monitor:
        seen = monitor.listen()
        office.post.resume(going)
        office.store.client.echo("that was all")
        lines = (line["command"] for line in seen)
        said = list(takewhile(lambda line: "that was all" not in line, lines))
    [let_go] = [at for at, line in enumerate(said) if line.startswith(f"HDEL {budget}")]
    [steered] = [at for at, line in enumerate(said) if line.endswith(f"{own} resume")]
    assert let_go < steered


def test_a_held_account_shows_why_and_until_when(office: Office, going: CampaignId) -> None:
    dispatch = Dispatch(office.store, office.settings)
    dispatch.hold(AccountName("main"), Lane.BULK, seconds=3600, reason="the quota is spent")
    status = office.post.status(going)
    assert status.state is State.WAITING
    assert status.reason.startswith("the quota is spent; goes on at ")


def test_cancel_closes_the_books_at_once_and_may_be_repeated(
    office: Office, going: CampaignId
) -> None:
    mark(office, going, 4, b"a", "accepted")
    office.post.cancel(going)
    status = office.checked(going)
    assert (status.state, status.totals.cancelled) == (State.CANCELLED, 2_499)
    assert (status.totals.accepted, status.totals.pending) == (1, 0)
    assert status.finished_at is not None
    office.post.cancel(going)
    assert office.checked(going) == status
    keys = office.store.keys.campaign(going)
    assert office.store.client.exists(keys.due) == 0
    assert 0 < office.store.client.ttl(keys.ledger) <= office.settings.store.retention_seconds
    assert office.store.client.smembers(office.store.keys.live) == set()


def test_cancel_leaves_alone_who_is_being_sent(office: Office, going: CampaignId) -> None:
    mark(office, going, 4, b"s", "sending")
    office.post.cancel(going)
    status = office.checked(going)
    assert (status.totals.sending, status.totals.cancelled) == (1, 2_499)
    assert (status.state, status.finished_at) == (State.CANCELLED, None)
    keys = office.store.keys.campaign(going)
    assert office.store.client.zrange(keys.due, 0, -1) == [b"1"]
    assert office.store.client.ttl(keys.campaign) == -1


def test_what_is_paused_loses_nobody_to_a_sweep(office: Office, going: CampaignId) -> None:
    """It was resumed and paused again, perhaps, since whoever sweeps has looked."""
    office.post.pause(going)
    assert Campaigns(office.store, office.settings.store).close_pending(going) == 0
    assert office.checked(going).totals.pending == 2_500


def test_a_sweep_that_was_interrupted_is_ended_by_whoever_repeats_it(
    office: Office, going: CampaignId
) -> None:
    campaigns = Campaigns(office.store, office.settings.store)
    campaigns.cancel(going)
    keys = office.store.keys.campaign(going)
    own = [keys.campaign, keys.ledger, keys.due]
    assert office.store.run("close_pending", own, [0, 100]) == [300, 0]
    office.checked(going)
    assert campaigns.close_pending(going) == 2_200
    assert campaigns.close_pending(going) == 0
    assert office.checked(going).totals.cancelled == 2_500


def test_an_expired_campaign_counts_the_rest_as_expired(office: Office, going: CampaignId) -> None:
    campaigns = Campaigns(office.store, office.settings.store)
    campaigns.expire(going)
    campaigns.close_pending(going)
    status = office.checked(going)
    assert (status.state, status.totals.expired) == (State.EXPIRED, 2_500)


def test_a_campaign_that_may_send_is_not_swept(office: Office, going: CampaignId) -> None:
    before = office.checked(going)
    assert Campaigns(office.store, office.settings.store).close_pending(going) == 0
    assert office.checked(going) == before


def cancel(office: Office, campaign_id: CampaignId) -> None:
    office.post.cancel(campaign_id)


def finish(office: Office, campaign_id: CampaignId) -> None:
    own = office.store.keys.campaign(campaign_id).campaign
    office.store.client.hset(own, mapping={"pending": 0, "accepted": 2_500, "finished_at": "1"})


def expire(office: Office, campaign_id: CampaignId) -> None:
    Campaigns(office.store, office.settings.store).expire(campaign_id)


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (cancel, "it was cancelled"),
        (finish, "it has finished"),
        (expire, "not_after has passed"),
    ],
)
def test_what_is_over_cannot_be_steered(
    office: Office, going: CampaignId, end: Callable[[Office, CampaignId], None], why: str
) -> None:
    end(office, going)
    for steer in (office.post.pause, office.post.resume):
        with pytest.raises(RefusedError, match=why):
            steer(going)
    if why != "it was cancelled":
        with pytest.raises(RefusedError, match=f"cannot cancel campaign {going}: .*{why}"):
            office.post.cancel(going)


def test_the_key_of_a_campaign_that_is_over_expires_with_its_records(office: Office) -> None:
    submission = office.post.submit(campaign(), ROWS[:2], key="spring")
    name = office.store.keys.submitted("spring")
    assert office.store.client.ttl(name) == -1
    office.split(submission.id)
    office.post.cancel(submission.id)
    assert 0 < office.store.client.ttl(name) <= office.settings.store.retention_seconds


def test_watch_ends_with_the_campaign(office: Office, going: CampaignId) -> None:
    steps = iter([office.post.pause, office.post.cancel])
    seen = office.post.watch(going, sleep=lambda _: next(steps)(going))
    assert [status.state for status in seen] == [State.SENDING, State.PAUSED, State.CANCELLED]
