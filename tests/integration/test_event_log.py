"""What a person reads of a campaign: what happened to it and to its account, and who did it."""

import json

import pytest

from postroom.client import Postroom
from postroom.errors import BadInputError, UnknownCampaignError
from postroom.model import AccountName, BatchRef
from postroom.settings import Settings
from postroom.store.budget import Budget
from postroom.store.connection import Store
from postroom.views.records import log_record
from tests.support.campaigns import ACCOUNT, people
from tests.support.client_harness import ClientHarness, campaign
from tests.support.fake_carrier import FakeCarrier
from tests.support.worker_harness import WorkerHarness
from worker.ses.verdict import Kind

ROWS = [f"person{n}@x.example" for n in range(20)]


def said(harness: ClientHarness, campaign_id: str) -> list[tuple[str, str, str]]:
    return [(one.event, one.by, one.account or "") for one in harness.post.log(campaign_id)]


def test_a_campaign_tells_who_did_what_in_order(harness: ClientHarness) -> None:
    given = harness.post.submit(campaign(), ROWS, by="shop").id
    harness.split(given)
    harness.post.pause(given, by="ada")
    harness.post.resume(given, by="eve")
    harness.post.cancel(given, by="ada")
    assert said(harness, given) == [
        ("submitted", "shop", ""),
        ("split", "", ""),
        ("paused", "ada", ""),
        ("resumed", "eve", ""),
        ("cancelled", "ada", ""),
    ]
    split = harness.post.log(given)[1]
    assert split.detail == "20 recipients, 0 invalid, 0 duplicate"


def test_what_changed_nothing_is_no_entry(harness: ClientHarness) -> None:
    given = harness.submitted(ROWS)
    harness.split(given)
    harness.post.resume(given)
    for _ in range(3):
        harness.post.pause(given)
    for _ in range(3):
        harness.post.cancel(given)
    assert [event for event, *_ in said(harness, given)] == [
        "submitted",
        "split",
        "paused",
        "cancelled",
    ]


def test_a_client_gives_its_name_once_or_with_each_call(
    store: Store, settings: Settings, harness: ClientHarness
) -> None:
    with Postroom(settings=settings, by="billing") as post:
        given = post.submit(campaign(), ROWS).id
        harness.split(given)
        post.pause(given)
        post.resume(given, by="key 7")
        post.pause_account("main")
        post.resume_account("main", by="key 7")
        events = [(one.event, one.by) for one in post.account_log("main")]
        assert events == [("paused", "billing"), ("resumed", "key 7")]
        own = [(one.event, one.by) for one in post.log(given) if one.by and not one.account]
        assert own == [("submitted", "billing"), ("paused", "billing"), ("resumed", "key 7")]


def test_who_gives_no_name_is_user_and_host(harness: ClientHarness) -> None:
    given = harness.submitted(ROWS)
    [submitted] = harness.post.log(given)
    user, at, host = submitted.by.partition("@")
    assert all((user, at, host))


def test_a_campaign_tells_what_befell_its_account_in_its_time(harness: ClientHarness) -> None:
    budget = Budget(harness.store)
    budget.halt(ACCOUNT, "long ago")
    budget.resume(ACCOUNT, by="eve")
    budget.pause(ACCOUNT, by="ada")  # Paused before it came: so it waits.
    given = harness.submitted(ROWS)
    harness.split(given)
    harness.post.resume_account(ACCOUNT, by="eve")
    befell = [one for one in said(harness, given) if one[2]]
    assert befell == [("paused", "ada", "main"), ("resumed", "eve", "main")]


def test_a_campaign_that_is_over_tells_nothing_that_came_later(harness: ClientHarness) -> None:
    given = harness.submitted(ROWS)
    harness.split(given)
    harness.post.cancel(given)
    harness.post.pause_account(ACCOUNT)
    assert "paused" not in [event for event, *_ in said(harness, given)]


def test_a_resume_that_lets_the_account_go_is_told_of_both(harness: ClientHarness) -> None:
    given = harness.submitted(ROWS)
    harness.split(given)
    harness.post.pause(given, by="ada")
    Budget(harness.store).halt(ACCOUNT, "credentials were revoked")
    harness.post.resume(given, by="eve")
    resumed = [one for one in said(harness, given) if one[0] == "resumed"]
    assert sorted(resumed) == [("resumed", "eve", ""), ("resumed", "eve", "main")]


def test_unknown_names_are_refused(harness: ClientHarness) -> None:
    with pytest.raises(UnknownCampaignError):
        harness.post.log("c0")
    for ask in (
        harness.post.account_log,
        harness.post.account_totals,
        harness.post.account_pace,
    ):
        with pytest.raises(BadInputError, match="no account 'nowhere'"):
            ask("nowhere")


def test_totals_and_pace_count_what_was_sent(
    post: WorkerHarness, carrier: FakeCarrier, harness: ClientHarness
) -> None:
    carrier.refuse("user3@example.org", Kind.REJECTED, "SES rejects the mail")
    made = post.make(people(10))
    post.work_off(made)
    totals = harness.post.account_totals("main")
    assert totals == {"accepted:bulk": 9, "calls:bulk:ok": 1, "rejected:bulk": 1}
    [cell] = harness.post.account_pace("main")
    assert (cell.accepted, cell.throttled) == (9, 0)
    assert [one.event for one in harness.post.log(made.id)][-2:] == ["started", "finished"]


def test_throttles_and_a_spent_quota_are_told_of_the_account(
    post: WorkerHarness, carrier: FakeCarrier, harness: ClientHarness
) -> None:
    carrier.end_next_call(Kind.THROTTLED, "above the sending rate")
    made = post.make(people(10))
    post.work_off(made)
    post.allow(quota=10.0)
    for _ in range(3):
        waits = post.make(people(10))
        post.work_off(waits)
    told = [(one.event, one.detail) for one in harness.post.account_log("main")]
    assert told == [("throttled", ""), ("waiting", "bulk: quota spent")]
    assert harness.post.account_totals("main")["throttled:bulk"] == 10
    befell = [one.event for one in harness.post.log(waits.id) if one.account]
    assert befell[-1] == "waiting"


def test_a_batch_that_keeps_failing_is_told_of_its_campaign(
    post: WorkerHarness, carrier: FakeCarrier, harness: ClientHarness
) -> None:
    carrier.refuse("user0@example.org", Kind.TRANSIENT, "SES had a temporary fault", times=9)
    made = post.make(people(1))
    post.work_off(made)
    own = [one for one in harness.post.log(made.id) if not one.account]
    assert [one.event for one in own] == ["submitted", "split", "started", "parked"]
    assert own[-1].detail == "SES had a temporary fault"


def test_nobody_is_named_in_any_log(
    post: WorkerHarness, carrier: FakeCarrier, harness: ClientHarness
) -> None:
    """Strict lists with bad rows, halts in SES's own words, and merge fields everywhere."""
    people_ = [{"email": f"ada{n}@secret.example", "name": f"Geheim{n}"} for n in range(5)]
    rows = [*people_, {"email": "nobody.secret.example", "name": "Geheim6"}]
    refused = harness.submitted(rows, strict=True, text="Hello {{ name }}")
    harness.split(refused)
    halted = harness.submitted(people_, text="Hello {{ name }}")
    harness.split(halted)
    words = "identities failed the check: ada0@secret.example, <ada1@secret.example>"
    carrier.end_next_call(Kind.STOP_CAMPAIGN, words)
    post.worker.sender.send(BatchRef(campaign_id=halted, number=0), owner="me")
    harness.post.resume(halted)
    carrier.end_next_call(Kind.STOP_ACCOUNT, words)
    post.worker.sender.send(BatchRef(campaign_id=halted, number=0), owner="me")
    entries = [harness.post.log(one) for one in (refused, halted)]
    entries.append(harness.post.account_log(AccountName("main")))
    events = {one.event for log in entries for one in log}
    assert "halted" in events
    text = json.dumps([log_record(one) for log in entries for one in log])
    assert "secret" not in text
    assert "Geheim" not in text
