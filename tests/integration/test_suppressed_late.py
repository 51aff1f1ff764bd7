"""Whoever is suppressed after the split is not mailed either, on any way to SES."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from postroom.client import Postroom
from postroom.model import Message, Outcome, Recipient
from postroom.settings import Settings
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store
from postroom.store.report import Reports
from postroom.store.suppression import Suppression
from tests.support.campaigns import ACCOUNT, PreparedCampaign, message_ref
from tests.support.fake_carrier import FakeCarrier
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until
from tests.support.worker_harness import WorkerHarness, quick
from worker.sending.retry import store_waits
from worker.sending.suppression_check import SuppressionCheck
from worker.ses.verdict import Kind

GONE = "user2@example.org"


def outcome(made: PreparedCampaign, address: str) -> Outcome:
    [row] = [row for row in Reports(made.store).rows(made.id) if row.email == address]
    return row.outcome


@pytest.mark.parametrize("mode", ["auto", "bulk", "single"])
def test_is_settled_as_suppressed_and_uses_no_budget(
    store: Store, settings: Settings, mode: str
) -> None:
    post = WorkerHarness(store, quick(settings), FakeCarrier(), mode=mode)
    post.allow(rate=40.0)
    made = post.make(5)
    Suppression(store).add(GONE, "unsubscribed")
    post.work_off(made)
    totals = made.check_books()
    assert (totals.accepted, totals.suppressed) == (4, 1)
    assert outcome(made, GONE) is Outcome.SUPPRESSED
    assert GONE not in post.carrier.addresses
    assert post.used == 4
    assert made.field("finished_at")
    tokens = store.client.hget(store.keys.account(ACCOUNT).budget, "tokens")
    assert float(tokens) >= 1.0
    post.close()


def test_a_whole_batch_of_them_makes_no_call(post: WorkerHarness, store: Store) -> None:
    made = post.make(3)
    for address in made.addresses:
        Suppression(store).add(address, "unsubscribed")
    post.work_off(made)
    assert post.carrier.calls == []
    assert made.check_books().suppressed == 3
    assert post.used == 0


def test_a_message_that_was_handed_in_before_is_not_sent(
    post: WorkerHarness, client: Postroom, carrier: FakeCarrier
) -> None:
    message = client.send("news", Message(subject="Hi", text="Hi"), Recipient(GONE)).id
    client.suppress(GONE, "unsubscribed")
    post.worker.sender.send(message_ref(message), owner="me")
    assert carrier.addresses == []
    assert client.status(message).totals.suppressed == 1


def test_who_is_tried_again_or_resumed_is_asked_about_again(
    post: WorkerHarness, store: Store, settings: Settings
) -> None:
    made = post.make(5)
    post.carrier.end_next_call(Kind.STOP_CAMPAIGN, "something is wrong")
    post.work_off(made)
    Suppression(store).add(GONE, "unsubscribed")
    look = post.worker.sender.caller.suppression
    wait_until(lambda: look.find([Recipient(GONE)]), "the worker knows", seconds=5)
    Campaigns(store, settings.store).resume(made.id)
    post.work_off(made, owner="after")
    totals = made.check_books()
    assert (totals.accepted, totals.suppressed) == (4, 1)


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def look(store: Store) -> tuple[SuppressionCheck, Time, Callable[[], int]]:
    time, waiting = Time(), store_waits(lambda _: None, lambda: True)

    def asked() -> int:
        info = store.client.info("commandstats")
        return sum(info.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("hlen", "hmget"))

    return SuppressionCheck(Suppression(store), waiting, time), time, asked


PEOPLE = [Recipient("Ana@Example.org"), Recipient("bob@example.org")]


def test_an_empty_list_costs_one_question_in_half_a_second(
    look: tuple[SuppressionCheck, Time, Callable[[], int]],
) -> None:
    check, _, asked = look
    before = asked()
    assert [check.find(PEOPLE) for _ in range(100)] == [[]] * 100
    assert asked() - before == 1


def test_the_first_one_on_it_is_known_within_half_a_second(
    look: tuple[SuppressionCheck, Time, Callable[[], int]], store: Store
) -> None:
    check, time, _ = look
    assert check.find(PEOPLE) == []
    Suppression(store).add("ana@example.org", "unsubscribed")
    time.now += 0.5
    assert check.find(PEOPLE) == [0]


def test_any_later_one_is_known_at_once_by_one_question_a_call(
    look: tuple[SuppressionCheck, Time, Callable[[], int]], store: Store
) -> None:
    check, _, asked = look
    Suppression(store).add("someone@example.org", "unsubscribed")
    assert check.find(PEOPLE) == []
    before = asked()
    Suppression(store).add("bob@example.org", "unsubscribed")
    assert check.find(PEOPLE) == [1]
    assert asked() - before == 1


def test_while_redis_is_away_nobody_is_mailed_unasked(tmp_path: Path, settings: Settings) -> None:
    server = RedisServer(tmp_path)
    server.start()
    store = Store(msgspec.structs.replace(settings.redis, url=server.url, timeout_seconds=0.2))
    waits: list[float] = []

    def back_after_two(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            server.thaw()

    check = SuppressionCheck(Suppression(store), store_waits(back_after_two, lambda: False), Time())
    Suppression(store).add("bob@example.org", "unsubscribed")
    server.freeze()
    assert check.find(PEOPLE) == [1]
    assert len(waits) >= 2
    store.close()
    server.stop()
