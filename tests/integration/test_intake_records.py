"""The steps on Redis that intake is made of: each may be repeated, an old lease does nothing."""

import pytest

from postroom import ids, wire
from postroom.errors import NeedsPersonError
from postroom.model import BadRow, CampaignId, Recipient, Source, State
from postroom.store.drafts import DraftGoneError, Drafts
from postroom.store.split import Counts, SplitLease, SplitLostError, Splits, Written
from producers.submit_handler import SubmitHandler
from tests.support.client_harness import ClientHarness, campaign

BATCH = wire.encode_recipients([Recipient("a@x.example"), Recipient("b@x.example")])
NOTE = BadRow(row=3, kind="invalid", reason="no @ in the address")


@pytest.fixture
def splits(harness: ClientHarness) -> Splits:
    return Splits(harness.store, harness.settings)


@pytest.fixture
def shipped(harness: ClientHarness) -> CampaignId:
    return harness.submitted(["a@x.example", "b@x.example"], batch_size=2)


def claimed(splits: Splits, campaign_id: CampaignId, owner: str = "one") -> SplitLease:
    lease = splits.claim(campaign_id, owner=owner, account=None)
    assert lease is not None
    return lease


def written(first: int, states: bytes = b"px") -> Written:
    counts = Counts(invalid=1, rows=3 + first)
    return Written(first=first, batches=[BATCH], states=states, counts=counts, notes=[NOTE])


def test_a_write_that_is_repeated_counts_once(
    harness: ClientHarness, splits: Splits, shipped: CampaignId
) -> None:
    lease = claimed(splits, shipped)
    for _ in range(3):
        splits.write(lease, written(0), held_back=False)
    totals = harness.checked(shipped).totals
    assert (totals.total, totals.pending, totals.suppressed, totals.invalid) == (2, 1, 1, 1)
    assert harness.post.bad_rows(shipped) == [NOTE]


def test_what_is_held_back_is_due_at_once_with_the_end_however_much_it_is(
    harness: ClientHarness, splits: Splits, shipped: CampaignId
) -> None:
    """One step a batch kept Redis from all others for a second and more with a million batches."""
    lease, client = claimed(splits, shipped), harness.store.client
    for number in range(5):
        splits.write(lease, written(number), held_back=True)
    due = harness.store.keys.campaign(shipped).due
    assert client.zcard(due) == 0
    client.config_resetstat()
    splits.finish(lease, Counts(), ())
    assert client.info("commandstats").get("cmdstat_zadd", {"calls": 0})["calls"] == 0
    assert {score for _, score in client.zrange(due, 0, -1, withscores=True)} == {0.0}
    assert client.zcard(due) == 5


def test_an_old_lease_writes_nothing_even_where_the_next_batch_is_due(
    harness: ClientHarness, splits: Splits, shipped: CampaignId
) -> None:
    old = claimed(splits, shipped)
    harness.store.client.hset(harness.store.keys.campaign(shipped).campaign, "split_until", "1")
    new = claimed(splits, shipped, owner="two")
    assert new.fence == old.fence + 1
    for step in (
        lambda: splits.write(old, written(0), held_back=False),
        lambda: splits.renew(old),
        lambda: splits.finish(old, Counts(), ()),
    ):
        with pytest.raises(SplitLostError):
            step()
    assert not splits.leave(old, halted="it is broken")
    status = harness.checked(shipped)
    assert status.totals.total == 0
    assert "broken" not in status.reason
    splits.write(new, written(0), held_back=False)
    assert harness.checked(shipped).totals.total == 2


def test_a_gap_between_batches_is_never_written(
    harness: ClientHarness, splits: Splits, shipped: CampaignId
) -> None:
    lease = claimed(splits, shipped)
    with pytest.raises(SplitLostError):
        splits.write(lease, written(1), held_back=False)
    assert harness.checked(shipped).totals.total == 0


def test_a_lease_that_was_given_back_is_free_at_once(splits: Splits, shipped: CampaignId) -> None:
    lease = claimed(splits, shipped)
    assert splits.claim(shipped, owner="two", account=None) is None
    assert splits.leave(lease)
    assert claimed(splits, shipped, owner="two").fence == lease.fence + 1


def test_a_finish_that_is_repeated_changes_nothing(
    harness: ClientHarness, splits: Splits, shipped: CampaignId
) -> None:
    lease = claimed(splits, shipped)
    splits.write(lease, written(0), held_back=False)
    for _ in range(2):
        assert not splits.finish(lease, Counts(invalid=1), [NOTE])
    assert len(harness.post.bad_rows(shipped)) == 2
    assert splits.claim(shipped, owner="two", account=None) is None


def lapse(harness: ClientHarness, campaign_id: CampaignId) -> None:
    harness.store.client.hset(harness.store.keys.campaign(campaign_id).campaign, "split_until", "1")


def test_a_split_that_its_producers_die_of_halts_its_campaign_until_a_person_resumes_it(
    harness: ClientHarness, splits: Splits, shipped: CampaignId
) -> None:
    most = harness.settings.producer.max_crashes
    for number in range(most):
        claimed(splits, shipped, owner=f"{number}")
        lapse(harness, shipped)
    with pytest.raises(NeedsPersonError, match=f"the split was taken {most} times by producers"):
        splits.claim(shipped, owner="one more", account=None)
    status = harness.post.status(shipped)
    assert (status.state, status.reason.split()[0]) == (State.HALTED, "the")
    assert splits.claim(shipped, owner="another", account=None) is None
    harness.producer.split(shipped)
    harness.post.resume(shipped)
    for number in range(most):
        claimed(splits, shipped, owner=f"again {number}")
        lapse(harness, shipped)


def test_a_split_that_gets_on_or_is_handed_on_is_not_what_its_producers_died_of(
    harness: ClientHarness, splits: Splits, shipped: CampaignId
) -> None:
    for number in range(harness.settings.producer.max_crashes - 1):
        lease = claimed(splits, shipped, owner=f"{number}")
        lapse(harness, shipped)
    lease = claimed(splits, shipped, owner="slow")
    splits.write(lease, written(0), held_back=False)
    lapse(harness, shipped)
    lease = claimed(splits, shipped, owner="slow too")
    for number in range(2 * harness.settings.producer.max_crashes):
        splits.leave(lease)
        lease = claimed(splits, shipped, owner=f"handed on {number}")
    assert harness.post.status(shipped).state is not State.HALTED


def test_a_refused_submit_that_is_delivered_again_is_one_record(harness: ClientHarness) -> None:
    submit_handler = SubmitHandler(harness.settings, harness.store)
    record = {"name": "spring", "subject": "Hi", "text": "Hello"}
    for _ in range(3):
        submit_handler.submit(record, "file:///people.csv", "task:1")
    [status] = harness.post.list()
    assert (status.state, status.name) == (State.HALTED, "spring")
    harness.post.cancel(status.id)
    submit_handler.submit(record, "file:///people.csv", "task:1")
    assert [one.state for one in harness.post.list()] == [State.CANCELLED]
    submit_handler.submit(record, "file:///people.csv", "task:2")
    submit_handler.submit({**record, "name": "autumn"}, "file:///people.csv", "task:1")
    assert len(harness.post.list()) == 3


def test_recipients_may_come_in_the_message_itself(harness: ClientHarness) -> None:
    submit_handler = SubmitHandler(harness.settings, harness.store)
    record = {"name": "spring", "sender": "news", "subject": "Hi {{ n }}", "text": "Hello"}
    people = [{"email": f"p{at}@x.example", "n": at} for at in range(1000)]
    for _ in range(2):  # The queue may deliver it again.
        submit_handler.submit(record, people, "task:1")
    [made] = harness.post.list()
    assert harness.split(made.id).totals.total == 1000


@pytest.mark.parametrize(
    ("recipients", "reason"),
    [
        ([f"p{at}@x.example" for at in range(1001)], "1,001 in one message"),
        ({"email": "ada@x.example"}, "neither"),
        ([["ada@x.example"]], "recipient 1"),
    ],
)
def test_inline_recipients_that_cannot_be_used_are_recorded_without_an_address(
    harness: ClientHarness, recipients: object, reason: str
) -> None:
    record = {"name": "spring", "sender": "news", "subject": "Hi", "text": "Hello"}
    SubmitHandler(harness.settings, harness.store).submit(record, recipients, "task:1")
    [status] = harness.post.list()
    assert status.state is State.HALTED
    assert reason in status.reason
    assert "@" not in status.reason


def test_a_draft_that_lacks_a_page_is_not_sealed(harness: ClientHarness) -> None:
    drafts = Drafts(harness.store, harness.settings.store)
    campaign_id = ids.new_campaign_id(lambda: 1.0)
    drafts.open(campaign_id, campaign(), Source(), key="")
    drafts.add_page(campaign_id, 0, b"page")
    with pytest.raises(DraftGoneError):
        drafts.seal(campaign_id, pages=2)
    drafts.add_page(campaign_id, 1, b"page")
    drafts.seal(campaign_id, pages=2)
    drafts.seal(campaign_id, pages=2)


def test_a_draft_that_expired_is_not_brought_back_by_its_next_page(harness: ClientHarness) -> None:
    drafts = Drafts(harness.store, harness.settings.store)
    campaign_id = ids.new_campaign_id(lambda: 1.0)
    drafts.open(campaign_id, campaign(), Source(), key="")
    keys = harness.store.keys.campaign(campaign_id)
    harness.store.client.delete(keys.campaign)
    with pytest.raises(DraftGoneError):
        drafts.add_page(campaign_id, 0, b"page")
    with pytest.raises(DraftGoneError):
        drafts.seal(campaign_id, pages=0)
    assert harness.store.client.exists(keys.campaign, keys.pages) == 0


def test_a_sealed_campaign_takes_no_further_page(
    harness: ClientHarness, shipped: CampaignId
) -> None:
    with pytest.raises(DraftGoneError):
        Drafts(harness.store, harness.settings.store).add_page(shipped, 0, b"other")
    assert harness.split(shipped).totals.total == 2


def test_reports_of_rejected_recipients_tell_why(
    harness: ClientHarness, shipped: CampaignId
) -> None:
    harness.split(shipped)
    keys = harness.store.keys.campaign(shipped)
    harness.store.client.setrange(keys.ledger, 1, bytes([wire.FIRST_REASON]))
    harness.store.client.hset(keys.reasons, "MessageRejected: no such user", wire.FIRST_REASON)
    rows = [(row.email, row.outcome, row.reason) for row in harness.post.report(shipped)]
    assert rows == [
        ("a@x.example", "pending", ""),
        ("b@x.example", "rejected", "MessageRejected: no such user"),
    ]
