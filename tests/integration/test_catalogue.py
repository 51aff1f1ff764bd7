"""What a service asks about its campaigns: which there are, and who of them has what outcome."""

from datetime import UTC, datetime

import pytest

from postroom.errors import BadInputError
from postroom.model import Message, Outcome, State
from tests.support.client_harness import ClientHarness, campaign


def test_campaigns_are_found_by_name_state_and_time_newest_first(harness: ClientHarness) -> None:
    autumn, spring, later = (
        harness.submitted([f"ada@{name}.example"], name=name)
        for name in ("Autumn", "Spring", "Aut")
    )
    harness.post.cancel(spring)
    assert [one.id for one in harness.post.list()] == [later, spring, autumn]
    assert [one.id for one in harness.post.list(name="aut")] == [later, autumn]
    assert [one.id for one in harness.post.list(state=State.CANCELLED)] == [spring]
    assert [one.id for one in harness.post.list(1, name="AUT")] == [later]
    created = harness.post.status(spring).created_at
    assert created is not None
    since = datetime.fromtimestamp(created, UTC)
    assert [one.id for one in harness.post.list(after=since)] == [later, spring]
    with pytest.raises(BadInputError, match="time zone"):
        harness.post.list(after=since.replace(tzinfo=None))


def test_a_key_leads_to_its_campaign_or_message(harness: ClientHarness) -> None:
    made = harness.post.submit(campaign(), ["ada@x.example"], key="autumn").id
    mail = Message(subject="Reset", text="here")
    sent = harness.post.send("news", mail, "bob@x.example", key="reset-1").id
    [found] = harness.post.list(key="autumn")
    assert (found.id, found.key) == (made, "autumn")
    assert [one.id for one in harness.post.list(key="reset-1")] == [sent]
    assert harness.post.list(key="autumn", state=State.CANCELLED) == []
    assert harness.post.list(key="nobody's") == []


def test_a_campaign_whose_records_are_gone_hides_none_of_the_others(harness: ClientHarness) -> None:
    ids = [harness.submitted(["ada@x.example"], name=f"n{at}") for at in range(205)]
    for one in ids[100:]:
        harness.store.client.delete(*harness.store.keys.campaign(one).all())
    assert [one.id for one in harness.post.list(200)] == list(reversed(ids[:100]))
    assert len(harness.store.client.zrange(harness.store.keys.campaigns, 0, -1)) == 100


def test_the_report_of_an_outcome_fetches_no_batch_without_it(harness: ClientHarness) -> None:
    harness.post.suppress("p4@x.example", "left")
    made = harness.submitted([f"p{at}@x.example" for at in range(6)], batch_size=2)
    harness.split(made)
    assert len(list(harness.post.report(made))) == 6
    batches = harness.store.keys.campaign(made).batches
    harness.store.client.hdel(batches, "0")  # To fetch it would be told as records that expired.
    [row] = harness.post.report(made, outcome=Outcome.SUPPRESSED)
    assert (row.email, row.reason) == ("p4@x.example", "on the suppression list")
    both = (Outcome.SUPPRESSED, Outcome.REJECTED)
    assert [one.email for one in harness.post.report(made, outcome=both)] == ["p4@x.example"]


def test_fifty_thousand_addresses_are_suppressed_and_bad_ones_are_named(
    harness: ClientHarness,
) -> None:
    given = [f"P{at}@x.example" for at in range(50_000)]
    given[7] = "nobody"
    [bad] = harness.post.suppress_many(given, "from the old provider")
    assert (bad.row, "nobody" in bad.reason) == (8, False)
    known = dict(harness.post.suppressed())
    assert len(known) == 49_999
    assert known["p0@x.example"] == "from the old provider"
    with pytest.raises(BadInputError):
        harness.post.suppress_many("ada@example.com", "a text")
