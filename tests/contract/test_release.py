"""Release: what the workers have room for reaches the broker, in the order of turns."""

import json
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from postroom.broker import queues
from postroom.broker.publish import Publisher
from postroom.dispatch.release import release
from postroom.errors import StoreUnavailableError
from postroom.model import AccountName, Lane
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from tests.support import campaigns
from tests.support.campaigns import ACCOUNT, PreparedCampaign
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

Make = Callable[..., PreparedCampaign]
Queued = tuple[str, int]


@pytest.fixture
def dispatch(store: Store, settings: Settings) -> Dispatch:
    line = Dispatch(store, settings)
    line.announce("worker", {Lane.BULK: 3, Lane.TRANSACTIONAL: 4})
    return line


@pytest.fixture
def publisher(settings: Settings) -> Iterator[Publisher]:
    one = Publisher(settings.redis)
    yield one
    one.close()


@pytest.fixture
def make(store: Store, settings: Settings, dispatch: Dispatch) -> Make:
    def made(recipients: int = 20, **more: object) -> PreparedCampaign:
        one = campaigns.make(store, settings, recipients, **{"batch_size": 2, **more})
        dispatch.wake(one.route)
        return one

    return made


def queued(store: Store, queue: str = queues.BATCHES) -> list[Queued]:
    """What waits in the broker, first in first."""
    found = []
    for raw in reversed(store.client.lrange(f"postroom:celery:{queue}", 0, -1)):
        args, _, _ = json.loads(b64decode(json.loads(raw)["body"]))
        found.append(tuple(args))
    return found


def test_fills_the_room_of_the_workers_and_no_more(
    dispatch: Dispatch, publisher: Publisher, make: Make, store: Store
) -> None:
    made = make()
    assert release(dispatch, publisher) == 3
    assert release(dispatch, publisher) == 0
    assert queued(store) == [(made.id, 0), (made.id, 1), (made.id, 2)]


def test_transactional_goes_first_and_by_its_own_queue(
    dispatch: Dispatch, publisher: Publisher, make: Make, store: Store
) -> None:
    bulk, urgent = make(), make(2, lane=Lane.TRANSACTIONAL)
    assert release(dispatch, publisher) == 4
    assert queued(store, queues.TRANSACTIONAL) == [(urgent.id, 0)]
    assert {campaign for campaign, _ in queued(store)} == {bulk.id}


def test_a_campaign_with_nothing_due_gives_its_room_to_the_next(
    dispatch: Dispatch, publisher: Publisher, make: Make, store: Store
) -> None:
    for made in [make() for _ in range(4)]:
        made.set(steer="paused")
    going = make()
    assert release(dispatch, publisher) == 3
    assert {campaign for campaign, _ in queued(store)} == {going.id}


def test_a_small_campaign_is_not_asked_for_more_than_it_has(
    dispatch: Dispatch, publisher: Publisher, make: Make, store: Store
) -> None:
    """One of one batch took all 56 tickets that there were, and gave 55 of them back."""
    dispatch.announce("worker", {Lane.BULK: 56, Lane.TRANSACTIONAL: 64})
    make(2)
    publisher.batches([], Lane.BULK)
    before = _calls(store, "zadd")
    assert release(dispatch, publisher) == 1
    assert _calls(store, "zadd") - before < 20


def test_a_large_campaign_fills_all_the_room_in_one_go(
    dispatch: Dispatch, publisher: Publisher, make: Make
) -> None:
    dispatch.announce("worker", {Lane.BULK: 56, Lane.TRANSACTIONAL: 64})
    make(400)
    assert release(dispatch, publisher) == 56


def test_no_account_gets_all_the_room(
    dispatch: Dispatch, publisher: Publisher, make: Make, store: Store
) -> None:
    made = {one.id: one for one in (make(400), make(400, account=AccountName("other")))}
    dispatch.announce("worker", {Lane.BULK: 1, Lane.TRANSACTIONAL: 1})
    counts: Counter[str] = Counter()
    for _ in range(60):
        assert release(dispatch, publisher) == 1
        [(campaign, number)] = queued(store)
        store.client.delete("postroom:celery:batches")
        dispatch.ended(made[campaign].route, made[campaign].ref(number), sent=2)
        counts[campaign] += 1
    assert min(counts[one] for one in made) >= 10


def test_a_message_names_its_batch_and_nobody_else(
    dispatch: Dispatch, publisher: Publisher, make: Make, store: Store
) -> None:
    make()
    release(dispatch, publisher)
    raw = store.client.lrange("postroom:celery:batches", 0, -1)
    assert raw
    for message in raw:
        body = b64decode(json.loads(message)["body"])
        assert b"example.org" not in message + body
        assert json.loads(message)["headers"]["task"] == queues.SEND_BATCH


def test_what_the_broker_lost_is_released_again_after_its_grace(
    publisher: Publisher, make: Make, store: Store, settings: Settings
) -> None:
    changed = msgspec.structs.replace(
        settings,
        dispatch=msgspec.structs.replace(settings.dispatch, grace_seconds=1.0),
        worker=msgspec.structs.replace(settings.worker, lease_seconds=1.0),
    )
    line, made = Dispatch(store, changed), make(4)
    assert release(line, publisher) == 2
    store.client.delete("postroom:celery:batches")

    def both_are_queued() -> bool:
        _tick(line, publisher)
        return {number for _, number in queued(store)} == set(made.numbers)

    wait_until(both_are_queued, "the batches are released again")


def test_a_broker_that_is_away_loses_nothing(
    settings: Settings, tmp_path: Path, redis_server: RedisServer
) -> None:
    own = RedisServer(tmp_path)
    own.start()
    redis = msgspec.structs.replace(settings.redis, url=own.url, timeout_seconds=0.5)
    changed = msgspec.structs.replace(settings, redis=redis)
    store = Store(redis)
    line, publisher = Dispatch(store, changed), Publisher(redis)
    line.announce("worker", {Lane.BULK: 3, Lane.TRANSACTIONAL: 4})
    made = campaigns.make(store, changed, 4, batch_size=2)
    line.wake(made.route)
    own.stop()
    with pytest.raises(StoreUnavailableError):
        release(line, publisher)
    own.start()
    assert release(line, publisher) == 2
    assert queued(store) == [(made.id, 0), (made.id, 1)]
    made.check_books()
    publisher.close()
    store.close()
    own.stop()


def test_a_broker_that_takes_no_writes_is_one_that_is_away(
    settings: Settings, tmp_path: Path, store: Store, dispatch: Dispatch, make: Make
) -> None:
    replica = RedisServer(tmp_path)
    replica.start()
    replica.client.replicaof("127.0.0.1", 1)
    publisher = Publisher(msgspec.structs.replace(settings.redis, url=replica.url))
    make()
    with pytest.raises(StoreUnavailableError):
        release(dispatch, publisher)
    publisher.close()
    replica.stop()


def test_a_held_account_waits(
    dispatch: Dispatch, publisher: Publisher, make: Make, store: Store
) -> None:
    make()
    dispatch.hold(ACCOUNT, Lane.BULK, seconds=60, reason="quota spent")
    assert release(dispatch, publisher) == 0
    dispatch.release_hold(ACCOUNT)
    assert release(dispatch, publisher) == 3


def _calls(store: Store, command: str) -> int:
    """Count how often a command was run, within scripts too."""
    stats = store.client.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})
    return int(stats["calls"])


def _tick(line: Dispatch, publisher: Publisher) -> int:
    line.announce("worker", {Lane.BULK: 3, Lane.TRANSACTIONAL: 4})
    while line.wake_sleepers()[0]:
        pass
    return release(line, publisher)
