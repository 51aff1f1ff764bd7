"""The event log, the totals and the pace of an account, as the scripts write them."""

from collections.abc import Mapping, Sequence

import pytest

from postroom.errors import UnknownCampaignError
from postroom.model import AccountName, CampaignId, Lane
from postroom.settings import Settings
from postroom.store.account_totals import AccountTotals
from postroom.store.budget import Allowance, Ask, Budget, Grant
from postroom.store.campaigns import Campaigns
from postroom.store.event_log import EventLog, LogEntry
from postroom.store.ledger import Ledger
from tests.support import campaigns
from tests.support.redis_clock import ClockedStore

ACCOUNT = AccountName("main")
MOST_BYTES = 56_000
"""Two hundred entries of the longest kind."""
AT_REST_BYTES = 25_000
"""Two hundred entries as they are."""


@pytest.fixture
def log(store: ClockedStore) -> EventLog:
    store.stop_the_clock()
    return EventLog(store)


@pytest.fixture
def budget(store: ClockedStore, log: EventLog) -> Budget:
    allowance = Allowance(
        rate=100.0,
        quota=-1.0,
        sent=-1.0,
        window_seconds=86_400.0,
        cells=288,
        burst_seconds=0.5,
        increase_per_second=0.0,
        requests_per_second=0.0,
        refresh_seconds=30.0,
    )
    budget = Budget(store)
    budget.observe(ACCOUNT, allowance)
    return budget


def told(entries: Sequence[LogEntry]) -> list[tuple[str, str, int]]:
    return [(one.event, one.by, one.count) for one in entries]


def stored_bytes(store: ClockedStore) -> int:
    return len(store.client.hget(store.keys.account(ACCOUNT).log, "log") or b"")


def test_who_paused_an_account_is_told_once(budget: Budget, log: EventLog) -> None:
    for _ in range(3):
        budget.pause(ACCOUNT, by="ada@desk")
    budget.resume(ACCOUNT, by="billing")
    budget.resume(ACCOUNT, by="billing")
    assert told(log.account(ACCOUNT)) == [("paused", "ada@desk", 1), ("resumed", "billing", 1)]


def test_what_happens_a_thousand_times_is_one_entry(
    budget: Budget, log: EventLog, store: ClockedStore
) -> None:
    began = store.seconds()
    for _ in range(1_000):
        budget.throttled(ACCOUNT, factor=0.9, refused=5)
        store.pass_time(2.0)
    [entry] = log.account(ACCOUNT)
    assert (entry.event, entry.count) == ("throttled", 1_000)
    assert (entry.at, entry.last_at) == pytest.approx((began, began + 1_998), abs=0.01)


def test_a_storm_of_throttles_is_told_once_a_second(
    budget: Budget, log: EventLog, store: ClockedStore
) -> None:
    for _ in range(50):
        budget.throttled(ACCOUNT, factor=0.9, refused=5)
    assert told(log.account(ACCOUNT)) == [("throttled", "", 1)]


def test_two_things_in_turn_are_two_entries(budget: Budget, log: EventLog) -> None:
    for _ in range(100):
        log.note_waiting(ACCOUNT, "bulk: quota spent")
        log.note_waiting(ACCOUNT, "bulk: waiting for the send rate")
    assert told(log.account(ACCOUNT)) == [("waiting", "", 100), ("waiting", "", 100)]


def test_what_comes_after_a_person_is_not_folded_into_what_was_before(
    budget: Budget, log: EventLog
) -> None:
    log.note_waiting(ACCOUNT, "bulk: quota spent")
    budget.pause(ACCOUNT, by="ada@desk")
    log.note_waiting(ACCOUNT, "bulk: quota spent")
    assert [one.event for one in log.account(ACCOUNT)] == ["waiting", "paused", "waiting"]


def test_who_steers_to_and_fro_keeps_the_order(budget: Budget, log: EventLog) -> None:
    for _ in range(3):
        budget.pause(ACCOUNT, by="ada@desk")
        budget.resume(ACCOUNT, by="ada@desk")
    assert [one.event for one in log.account(ACCOUNT)] == ["paused", "resumed"] * 3


def test_a_log_keeps_the_last_200_entries_and_is_bounded(
    budget: Budget, log: EventLog, store: ClockedStore
) -> None:
    for number in range(500):
        budget.halt(ACCOUNT, f"{number} " + "ää " * 2_000)
    kept = log.account(ACCOUNT)
    assert len(kept) == 200
    assert kept[-1].detail.startswith("499 ää")
    assert stored_bytes(store) < MOST_BYTES


def test_a_log_of_what_usually_happens_is_small(
    budget: Budget, log: EventLog, store: ClockedStore
) -> None:
    for number in range(200):
        log.note_waiting(ACCOUNT, f"bulk: SES fails: SES cannot be reached (host {number})")
    assert len(log.account(ACCOUNT)) == 200
    assert stored_bytes(store) < AT_REST_BYTES


@pytest.mark.parametrize(
    "said",
    [
        "Address <ada@shop.example> is not verified",
        "not verified: 'ada@shop.example'",
        "ada@shop.example,eve@shop.example were refused",
        '"ada eve"@shop.example is refused',
        "https://x.example/?to=ada%40shop.example is no source",
        "ada@shop.example",
        "x" * 995 + " ada@shop.example",
    ],
)
def test_no_address_gets_into_a_log(budget: Budget, log: EventLog, said: str) -> None:
    budget.halt(ACCOUNT, said)
    log.note_waiting(ACCOUNT, said)
    for one in log.account(ACCOUNT):
        assert not [part for part in ("ada", "eve", "shop.example") if part in one.detail]


def test_nothing_that_is_said_breaks_the_form(budget: Budget, log: EventLog) -> None:
    budget.pause(ACCOUNT, by="ada\n\tx\x00" + "é" * 100)
    budget.halt(ACCOUNT, "one\ttwo\nthree\x85four\u2028five")
    paused, halted = log.account(ACCOUNT)
    assert paused.by.startswith("ada x")
    assert len(paused.by.encode()) <= 64
    assert halted.detail == "one two three\x85four\u2028five"


def test_the_log_of_an_account_stays(budget: Budget, log: EventLog, store: ClockedStore) -> None:
    budget.pause(ACCOUNT, by="ada@desk")
    assert store.client.ttl(store.keys.account(ACCOUNT).log) == -1


def test_the_log_of_a_campaign_goes_with_its_records(
    store: ClockedStore, log: EventLog, settings: Settings
) -> None:
    made = campaigns.make(store, settings, 3)
    steering = Campaigns(store, settings.store)
    for _ in range(2):
        steering.pause(made.id, by="ada@desk")
    steering.cancel(made.id, by="eve@desk")
    steering.close_pending(made.id)
    entries = [one for one in log.campaign(made.id).entries if one.by]
    assert told(entries) == [("paused", "ada@desk", 1), ("cancelled", "eve@desk", 1)]
    keys = store.keys.campaign(made.id)
    assert 0 < store.client.ttl(keys.campaign) <= settings.store.retention_seconds
    store.client.delete(*keys.all())
    with pytest.raises(UnknownCampaignError):
        log.campaign(made.id)
    assert store.client.keys(f"*{made.id}*") == []


def test_what_has_no_log_gets_none_by_its_end(
    store: ClockedStore, log: EventLog, settings: Settings
) -> None:
    """A message has none: it would be larger than the message."""
    made = campaigns.make(store, settings, 1)
    own = store.keys.campaign(made.id).campaign
    store.client.hdel(own, "log")
    store.client.hset(own, mapping={"pending": 0, "accepted": 1})
    log.note_parked(made.id, "SES keeps failing")
    assert Ledger.from_settings(store, settings).finish(made.id)
    assert not store.client.hexists(own, "log")


def granted(budget: Budget, wanted: int) -> Grant:
    ask = Ask(
        waiter="me",
        wanted=wanted,
        lane=Lane.BULK,
        bulk_request=True,
        campaign_id=CampaignId("c1"),
        weight=1.0,
    )
    grant = budget.take(ACCOUNT, ask, max_wait_seconds=5.0)
    assert isinstance(grant, Grant)
    return grant


def settle(budget: Budget, store: ClockedStore, brought: Mapping[str, int]) -> None:
    store.pass_time(1.0)
    grant = granted(budget, 10)
    budget.settle(ACCOUNT, grant, counted=10, unsent=0, brought=brought)


def test_totals_only_grow(budget: Budget, store: ClockedStore) -> None:
    settle(budget, store, {"accepted:bulk": 9, "rejected:bulk": 1, "calls:bulk:ok": 1})
    settle(budget, store, {"accepted:bulk": 4, "throttled:bulk": 6, "calls:bulk:ok": 1})
    assert AccountTotals(store).totals(ACCOUNT) == {
        "accepted:bulk": 13,
        "calls:bulk:ok": 2,
        "rejected:bulk": 1,
        "throttled:bulk": 6,
    }
    keys = store.keys.account(ACCOUNT)
    assert [store.client.ttl(key) for key in (keys.totals, keys.ring)] == [-1, -1]


def test_a_grant_that_was_given_back_is_no_call(budget: Budget, store: ClockedStore) -> None:
    store.pass_time(1.0)
    budget.settle(ACCOUNT, granted(budget, 10), counted=0, unsent=10)
    assert AccountTotals(store).totals(ACCOUNT) == {}
    assert AccountTotals(store).pace(ACCOUNT) == []


def test_the_pace_has_a_cell_for_every_ten_seconds_with_a_call(
    budget: Budget, store: ClockedStore
) -> None:
    store.pass_time(10 - store.seconds() % 10)
    began = store.seconds()
    settle(budget, store, {"accepted:bulk": 7, "accepted:transactional": 1})
    settle(budget, store, {"accepted:bulk": 2, "throttled:bulk": 8})
    store.pass_time(20.0)
    settle(budget, store, {"accepted:bulk": 10})
    first, second = AccountTotals(store).pace(ACCOUNT)
    assert (first.at, first.accepted, first.throttled) == (pytest.approx(began, abs=0.01), 10, 8)
    assert (second.at - first.at, second.accepted, second.throttled) == (20.0, 10, 0)
    assert first.allowed == second.allowed == 100.0


def test_the_pace_tells_of_the_last_hour_only_and_does_not_grow(
    budget: Budget, store: ClockedStore
) -> None:
    pace = AccountTotals(store)
    for _ in range(3):
        for _ in range(4):
            settle(budget, store, {"accepted:bulk": 10})
            store.pass_time(899.0)
    store.pass_time(10.0)
    assert [cell.accepted for cell in pace.pace(ACCOUNT)] == [10, 10, 10]
    assert store.client.strlen(store.keys.account(ACCOUNT).ring) <= 360 * 16


def test_an_entry_knows_all_that_the_script_wrote(budget: Budget, log: EventLog) -> None:
    budget.halt(ACCOUNT, "sending is disabled for the account in SES")
    [entry] = log.account(ACCOUNT)
    assert entry == LogEntry(
        at=entry.at,
        last_at=entry.at,
        count=1,
        event="halted",
        by="",
        detail="sending is disabled for the account in SES",
    )
