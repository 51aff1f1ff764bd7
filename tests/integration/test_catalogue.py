"""What a service asks about its campaigns: which there are, and who of them has what outcome."""

from datetime import UTC, datetime

import pytest

from postroom.errors import BadInputError
from postroom.model import Message, Outcome, State
from tests.support.office import Office, campaign


def test_campaigns_are_found_by_name_state_and_time_newest_first(office: Office) -> None:
    autumn, spring, later = (
        office.submitted([f"ada@{name}.example"], name=name) for name in ("Autumn", "Spring", "Aut")
    )
    office.post.cancel(spring)
    assert [one.id for one in office.post.list()] == [later, spring, autumn]
    assert [one.id for one in office.post.list(name="aut")] == [later, autumn]
    assert [one.id for one in office.post.list(state=State.CANCELLED)] == [spring]
    assert [one.id for one in office.post.list(1, name="AUT")] == [later]
    created = office.post.status(spring).created_at
    assert created is not None
    since = datetime.fromtimestamp(created, UTC)
    assert [one.id for one in office.post.list(after=since)] == [later, spring]
    with pytest.raises(BadInputError, match="time zone"):
        office.post.list(after=since.replace(tzinfo=None))


def test_a_key_leads_to_its_campaign_or_message(office: Office) -> None:
    made = office.post.submit(campaign(), ["ada@x.example"], key="autumn").id
    mail = Message(subject="Reset", text="here")
    sent = office.post.send("news", mail, "bob@x.example", key="reset-1").id
    [found] = office.post.list(key="autumn")
    assert (found.id, found.key) == (made, "autumn")
    assert [one.id for one in office.post.list(key="reset-1")] == [sent]
    assert office.post.list(key="autumn", state=State.CANCELLED) == []
    assert office.post.list(key="nobody's") == []


def test_a_campaign_whose_records_are_gone_hides_none_of_the_others(office: Office) -> None:
    ids = [office.submitted(["ada@x.example"], name=f"n{at}") for at in range(205)]
    for one in ids[100:]:
        office.store.client.delete(*office.store.keys.campaign(one).all())
    assert [one.id for one in office.post.list(200)] == list(reversed(ids[:100]))
    assert len(office.store.client.zrange(office.store.keys.campaigns, 0, -1)) == 100


def test_the_report_of_an_outcome_fetches_no_batch_without_it(office: Office) -> None:
    office.post.suppress("p4@x.example", "left")
    made = office.submitted([f"p{at}@x.example" for at in range(6)], batch_size=2)
    office.split(made)
    assert len(list(office.post.report(made))) == 6
    batches = office.store.keys.campaign(made).batches
    office.store.client.hdel(batches, "0")  # To fetch it would be told as records that expired.
    [row] = office.post.report(made, outcome=Outcome.SUPPRESSED)
    assert (row.email, row.reason) == ("p4@x.example", "on the suppression list")
    both = (Outcome.SUPPRESSED, Outcome.REJECTED)
    assert [one.email for one in office.post.report(made, outcome=both)] == ["p4@x.example"]


def test_fifty_thousand_addresses_are_suppressed_and_bad_ones_are_named(office: Office) -> None:
    given = [f"P{at}@x.example" for at in range(50_000)]
    given[7] = "nobody"
    [bad] = office.post.suppress_many(given, "from the old provider")
    assert (bad.row, "nobody" in bad.reason) == (8, False)
    known = dict(office.post.suppressed())
    assert len(known) == 49_999
    assert known["p0@x.example"] == "from the old provider"
    with pytest.raises(BadInputError):
        office.post.suppress_many("ada@example.com", "a text")
