"""Celery in trouble: what it loses, repeats or cannot read, under each pool.

What stands in test_worker_process.py (tasks published thrice, a flushed queue, unknown tasks) is
not repeated here. Everything that was mailed is counted at the local SES.
"""

import json
import signal
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator

import psutil
import pytest
from celery import Celery

from postroom.broker import queues
from postroom.broker.publish import Publisher, transport_options
from postroom.model import AccountName, Lane, State
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from tests.chaos.fault_injector import children_of
from tests.chaos.rig import Rig, Shape
from tests.support import campaigns
from tests.support.campaigns import PreparedCampaign
from tests.support.waiting import wait_until

CALL = 50
Make = Callable[..., PreparedCampaign]


@pytest.fixture(scope="module")
def threads() -> Iterator[Rig]:
    with Rig(Shape(workers=2, slots=4, latency_ms=100.0)) as rig:
        yield rig


@pytest.fixture(scope="module")
def prefork() -> Iterator[Rig]:
    with Rig(Shape(workers=1, producers=0, slots=3, pool="processes", latency_ms=200.0)) as rig:
        yield rig


def make(rig: Rig, recipients: int, *, batch_size: int = 100) -> PreparedCampaign:
    """Make a campaign that is split already, and put it in line."""
    store = Store(rig.settings.redis)
    made = campaigns.make(
        store, rig.settings, recipients, batch_size=batch_size, account=AccountName("local")
    )
    Dispatch(store, rig.settings).wake(made.route)
    return made


def over(rig: Rig, made: PreparedCampaign) -> bool:
    return rig.post.status(made.id).state is State.FINISHED


def finish(rig: Rig, made: PreparedCampaign, *, seconds: float = 60) -> None:
    wait_until(lambda: over(rig, made), "the campaign is finished", seconds=seconds)


def assert_everybody_once(rig: Rig, made: PreparedCampaign) -> None:
    assert rig.accepted(made.id) == dict.fromkeys(made.addresses, 1)
    assert made.check_books().accepted == len(made.addresses)


def under_way(made: PreparedCampaign, share: float = 0.1) -> bool:
    return made.totals().accepted >= share * len(made.addresses)


def logs(rig: Rig) -> str:
    return "".join(one.log.read_text(errors="replace") for one in (*rig.workers, *rig.producers))


def test_the_visibility_time_out_passes_in_the_middle_of_a_batch(threads: Rig) -> None:
    """To kombu every message it handed out is forgotten: it gives all of them out again."""
    made = make(threads, 12_000)
    index = f"{threads.settings.redis.prefix}celery:unacked_index"

    def age() -> bool:
        for tag in threads.client.zrange(index, 0, -1):
            threads.client.zadd(index, {tag: 0}, xx=True)
        return '"reason": "busy"' in logs(threads) or over(threads, made)

    threads.ses_settings(latency_ms=1000.0)
    try:
        wait_until(age, "a second copy of a task was refused")
    finally:
        threads.ses_settings(latency_ms=50.0)
    assert '"reason": "busy"' in logs(threads)
    finish(threads, made)
    assert_everybody_once(threads, made)


def spoilt(app: Celery, rig: Rig, queue: str) -> Iterator[str]:
    """Messages as Celery makes them, each with another part that makes no sense."""
    app.send_task(queues.SPLIT, args=["no-such-campaign"], queue="template")
    raw = json.loads(rig.client.rpop(f"{rig.settings.redis.prefix}celery:template"))
    raw["properties"]["delivery_info"]["routing_key"] = queue
    yield json.dumps({**raw, "body": "!"})
    yield json.dumps({**raw, "body": b64encode(b"no json").decode()})
    yield json.dumps({**raw, "body": b64encode(b'{"neither": "args"}').decode()})
    yield json.dumps({**raw, "headers": {}})
    yield json.dumps({**raw, "content-type": "application/x-python-serialize"})
    for args in ([], [{"a": 1}], [None], ["no-such-campaign", 0, 1], ["x", -1], ["x", "y"]):
        body = json.dumps([args, {}, {}]).encode()
        yield json.dumps({**raw, "body": b64encode(body).decode()})


@pytest.mark.parametrize("queue", [queues.BATCHES, queues.CAMPAIGNS])
def test_a_message_that_makes_no_sense_ends_no_process(threads: Rig, queue: str) -> None:
    app = Celery("stranger", broker=threads.settings.redis.url, set_as_current=False)
    app.conf.broker_transport_options = transport_options(threads.settings.redis.prefix)
    key = f"{threads.settings.redis.prefix}celery:{queue}"
    for raw in [*spoilt(app, threads, queue)]:
        threads.client.lpush(key, raw)
        threads.client.lpush(key, raw.replace(queues.SPLIT, queues.SEND_BATCH))
        threads.client.lpush(key, raw.replace(queues.SPLIT, "no.such.task"))
    app.close()
    wait_until(lambda: not threads.client.llen(key), "all were taken")
    made = make(threads, 500)
    finish(threads, made)
    assert_everybody_once(threads, made)
    assert threads.died() == []


def newer(stored: bytes) -> bytes:
    """As a Postroom to come may write a batch."""
    record = json.loads(zlib.decompress(stored))
    return zlib.compress(json.dumps({**record, "v": 2, "columns": "otherwise"}).encode())


def test_a_batch_in_a_newer_format_is_parked_and_sent_when_it_can_be_read(threads: Rig) -> None:
    made = make(threads, 100)
    finish(threads, made)  # Both workers are warm.
    store = Store(threads.settings.redis)
    made = campaigns.make(
        store, threads.settings, 600, batch_size=100, account=AccountName("local")
    )
    key = store.keys.campaign(made.id).batches
    ours = store.client.hget(key, "3")
    store.client.hset(key, "3", newer(ours))
    began = time.monotonic()
    Dispatch(store, threads.settings).wake(made.route)
    wait_until(lambda: made.totals().accepted == 500, "all other batches are sent")
    wait_until(lambda: logs(threads).count("batch.newer_format") >= 2, "it was looked at again")
    # Parked for 2 s here each time, so no crash and no loop.
    assert logs(threads).count("batch.newer_format") <= 3 + (time.monotonic() - began) / 2
    assert "has format 2; this process reads up to 1" in logs(threads)
    assert threads.died() == []
    # The workers are new now: here the batch becomes old.
    store.client.hset(key, "3", ours)
    finish(threads, made)
    assert_everybody_once(threads, made)


def test_a_campaign_in_a_newer_format_waits_for_a_newer_worker(threads: Rig) -> None:
    store = Store(threads.settings.redis)
    made = campaigns.make(
        store, threads.settings, 300, batch_size=100, account=AccountName("local")
    )
    spec = made.field("spec")
    made.set(spec=json.dumps({**json.loads(spec), "v": 2}))
    Dispatch(store, threads.settings).wake(made.route)
    wait_until(lambda: "campaign.newer_format" in logs(threads), "it was refused")
    before, began = logs(threads).count("campaign.newer_format"), time.monotonic()
    time.sleep(3)  # noqa: TID251 - that nothing happens takes time
    more = logs(threads).count("campaign.newer_format") - before
    # Each of its three batches is looked at once in a grace of 6 s.
    assert more <= 3 * (1 + (time.monotonic() - began) / 6)
    assert threads.died() == []
    made.set(spec=spec)
    finish(threads, made)
    assert_everybody_once(threads, made)


def test_a_child_that_is_killed_costs_at_most_its_call(prefork: Rig) -> None:
    made = make(prefork, 4_000)
    wait_until(lambda: under_way(made), "it is under way", seconds=60)
    main = prefork.workers[0].pid
    kills = 0
    for share in (0.1, 0.2, 0.3):
        wait_until(lambda share=share: under_way(made, share), "it goes on", seconds=60)
        children = children_of(main)
        children[kills % len(children)].kill()
        kills += 1
    finish(prefork, made, seconds=60)
    totals, taken = made.check_books(), prefork.accepted(made.id)
    assert max(taken.values()) == 1
    assert totals.ambiguous <= kills * CALL
    assert totals.accepted == 4_000 - totals.ambiguous <= len(taken)
    assert prefork.workers[0].pid == main
    assert prefork.died() == []


def test_a_prefork_worker_that_is_stopped_loses_nothing(prefork: Rig) -> None:
    made = make(prefork, 3_000)
    wait_until(lambda: under_way(made), "it is under way", seconds=60)
    program = prefork.ask_to_stop(0)
    children = children_of(program.pid)
    prefork.start_worker()
    prefork.reap(program, 30)
    finish(prefork, made, seconds=60)
    taken, totals = prefork.accepted(made.id), made.check_books()
    assert max(taken.values()) == 1
    # What is cut off after the grace is in doubt, as after a kill.
    assert totals.ambiguous <= len(children) * CALL
    wait_until(lambda: not any(map(_runs, children)), "no child outlives its worker")


def test_a_second_sigterm_costs_no_more_than_a_kill(threads: Rig) -> None:
    threads.ses_settings(latency_ms=600.0)
    made = make(threads, 3_000)
    wait_until(lambda: made.totals().sending >= CALL, "calls are in flight")
    program = threads.ask_to_stop(0)
    program.signal(signal.SIGTERM)
    threads.reap(program, 30)
    threads.start_worker()
    threads.ses_settings(latency_ms=50.0)
    finish(threads, made)
    taken, totals = threads.accepted(made.id), made.check_books()
    assert max(taken.values()) == 1
    assert totals.ambiguous <= 4 * CALL
    assert totals.accepted + totals.ambiguous == 3_000


def test_a_batch_of_a_campaign_that_is_over_is_left_alone(threads: Rig) -> None:
    made = make(threads, 200)
    finish(threads, made)
    publisher = Publisher(threads.settings.redis)
    publisher.batches([made.ref(0), made.ref(1), made.ref(7)], Lane.BULK)
    publisher.batches([made.ref(0)], Lane.TRANSACTIONAL)
    publisher.close()
    key = f"{threads.settings.redis.prefix}celery:{queues.BATCHES}"
    wait_until(lambda: not threads.client.llen(key), "all were taken")
    other = make(threads, 200)
    finish(threads, other)
    assert_everybody_once(threads, made)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
