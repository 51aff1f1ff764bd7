"""Redis in trouble under running workers and producers: they wait, and go on by themselves.

All of it is real, and everything that was mailed is counted at the local SES.
"""

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
import redis

from postroom import clock
from postroom.errors import StoreUnavailableError
from postroom.model import Campaign, CampaignId, SenderName, State
from tests.chaos.rig import Rig, Shape
from tests.chaos.verdict import Verdict, judge
from tests.support.waiting import wait_until

MAILED = 6_000
SPLIT = 60_000
NOBODY_LISTENS = 1


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    # Two workers need about 3 s for a campaign: time enough for trouble in its middle.
    shape = Shape(workers=2, slots=6, latency_ms=250.0)
    with Rig(shape) as rig:
        yield rig


def submit(rig: Rig, count: int, *, later: bool = False, batch_size: int = 100) -> CampaignId:
    people = [f"person{number}@example.org" for number in range(count)]
    send_at = clock.utc(clock.now()) + timedelta(hours=1) if later else None
    campaign = Campaign(
        name="spring",
        sender=SenderName("news"),
        subject="Hello",
        text="Good morning",
        batch_size=batch_size,
        send_at=send_at,
    )
    return rig.post.submit(campaign, people).id


def pids(rig: Rig) -> list[int]:
    return [program.pid for program in (*rig.workers, *rig.producers) if program.alive]


def accepted(rig: Rig, campaign_id: CampaignId) -> int:
    found: int = rig.stats()["accepted_per_campaign"].get(campaign_id, 0)
    return found


def state(rig: Rig, campaign_id: CampaignId) -> State | None:
    with suppress(StoreUnavailableError):
        return rig.post.status(campaign_id).state
    return None


def finished(rig: Rig, campaign_id: CampaignId) -> bool:
    return state(rig, campaign_id) is State.FINISHED


def ended(rig: Rig, campaign_id: CampaignId, count: int = MAILED) -> Verdict:
    """Wait for the end of a campaign; look into its books and at the local SES."""
    wait_until(lambda: finished(rig, campaign_id), "the campaign is finished", seconds=60)
    return judge(rig, campaign_id, [f"person{number}@example.org" for number in range(count)])


def all_split(rig: Rig, campaign_id: CampaignId) -> bool:
    status = rig.post.status(campaign_id)
    return status.state is State.SCHEDULED and status.totals.pending == SPLIT


def client_kill(rig: Rig) -> None:
    for _ in range(3):
        for kind in ("normal", "pubsub"):
            rig.client.client_kill_filter(_type=kind, skipme=True)
        clock.sleep(0.3)


def client_pause(rig: Rig) -> None:
    rig.client.client_pause(2_500)


def script_flush(rig: Rig) -> None:
    for _ in range(20):
        rig.client.script_flush()
        clock.sleep(0.02)


def frozen(rig: Rig) -> None:
    rig.freeze_redis()
    clock.sleep(2.5)
    rig.thaw_redis()


def killed(rig: Rig) -> None:
    rig.kill_redis()
    clock.sleep(1.0)
    rig.start_redis()


def stopped(rig: Rig) -> None:
    rig.kill_redis(signal.SIGTERM)
    rig.start_redis()


def out_of_memory(rig: Rig) -> None:
    rig.client.config_set("maxmemory", 1)
    clock.sleep(2.0)
    rig.client.config_set("maxmemory", 0)


def read_only(rig: Rig) -> None:
    """As in a failover, while our connections still lead to the old primary."""
    rig.client.config_set("replica-serve-stale-data", "yes")
    rig.client.replicaof("127.0.0.1", NOBODY_LISTENS)
    clock.sleep(2.0)
    rig.client.replicaof("NO", "ONE")


TROUBLES = [
    client_kill,
    client_pause,
    script_flush,
    frozen,
    killed,
    stopped,
    out_of_memory,
    read_only,
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda one: one.__name__)
def test_is_waited_out_and_nobody_is_lost_or_mailed_twice(
    rig: Rig, trouble: Callable[[Rig], None]
) -> None:
    before = pids(rig)
    mailed = submit(rig, MAILED)
    wait_until(lambda: accepted(rig, mailed) > MAILED / 20, "mails are leaving")
    # The producer is in the middle of its work as well.
    scheduled = submit(rig, SPLIT, later=True, batch_size=20)
    trouble(rig)
    assert accepted(rig, mailed) < MAILED, "the campaign was over before the trouble was"
    verdict = ended(rig, mailed)
    assert verdict.broken() == []
    # Every worker lived, and the trouble was shorter than a lease: each call's end is known.
    assert verdict.ambiguous == 0
    wait_until(lambda: all_split(rig, scheduled), "the other campaign is split", seconds=60)
    rig.post.cancel(scheduled)
    assert pids(rig) == before


@pytest.mark.parametrize("harm", [out_of_memory, read_only], ids=lambda one: one.__name__)
def test_a_submit_that_redis_refuses_says_so_and_leaves_no_trace(
    rig: Rig, harm: Callable[[Rig], None]
) -> None:
    known = {one.id for one in rig.post.list()}
    steps = {"out_of_memory": ("maxmemory", 1), "read_only": None}[harm.__name__]
    if steps:
        rig.client.config_set(*steps)
    else:
        rig.client.replicaof("127.0.0.1", NOBODY_LISTENS)
    try:
        with pytest.raises(StoreUnavailableError):
            submit(rig, 10)
    finally:
        rig.client.config_set("maxmemory", 0)
        rig.client.replicaof("NO", "ONE")
    assert {one.id for one in rig.post.list()} == known


def test_an_older_file_costs_at_most_what_was_sent_since(rig: Rig) -> None:
    """A failover that lost the last second: who was mailed in it is mailed again."""
    before = pids(rig)
    mailed = submit(rig, MAILED)
    wait_until(lambda: accepted(rig, mailed) > MAILED / 20, "mails are leaving")
    kept = rig.redis_folder.parent / "older"
    shutil.copytree(rig.redis_folder, kept)
    known = accepted(rig, mailed)
    clock.sleep(1.0)
    rig.kill_redis()
    since = accepted(rig, mailed) - known
    shutil.rmtree(rig.redis_folder)
    kept.rename(rig.redis_folder)
    rig.start_redis()
    verdict = ended(rig, mailed)
    in_flight = 2 * 6 * 50
    assert verdict.broken(twice_at_most=since + in_flight) == []
    assert pids(rig) == before


def test_a_worker_that_starts_while_redis_is_away_waits_for_it(rig: Rig) -> None:
    rig.kill_redis()
    late = rig.start_worker()
    clock.sleep(3.0)
    with pytest.raises(redis.ConnectionError):
        rig.client.ping()
    rig.start_redis()
    rig.until(lambda: rig.workers_there() == len(rig.workers), "all workers are there")
    mailed = submit(rig, 500)
    assert ended(rig, mailed, 500).broken() == []
    assert late.alive
