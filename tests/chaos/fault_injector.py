"""The hands that do the harm, and that undo afterwards what would not mend by itself."""

import heapq
import signal
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import psutil
import redis

from postroom import clock
from postroom.broker import queues
from postroom.broker.publish import Publisher
from postroom.model import BatchRef, CampaignId, Lane
from tests.chaos.faults import Fault
from tests.chaos.recovery import Recovery
from tests.chaos.rig import LEASE_SECONDS, Rig

_QUEUES = (queues.CAMPAIGNS, queues.BATCHES, queues.TRANSACTIONAL)


class FaultInjector:
    """Does faults to a rig. What must happen later (a start, a SIGCONT) is done by `mend`."""

    def __init__(self, rig: Rig, recovery: Recovery, campaign_id: CampaignId) -> None:
        self._rig = rig
        self._recovery = recovery
        self._campaign_id = campaign_id
        self._later: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        self._redis_away = False
        self._publisher = Publisher(rig.settings.redis)

    def ready_for(self, fault: Fault) -> bool:
        """Whether there is something to harm: no worker twice at once, Redis only when it is up."""
        if fault.kind in ("kill_redis", "freeze_redis", "client_kill", "client_pause"):
            return not self._redis_away
        if fault.kind in ("script_flush", "drop_queue", "publish_twice"):
            return not self._redis_away
        if fault.kind == "kill_producer":
            return bool(self._rig.producers)
        if fault.kind in ("kill_worker", "roll_worker", "roll_all", "freeze_worker", "kill_child"):
            return bool(self._rig.workers)
        return True

    def do(self, fault: Fault) -> None:
        getattr(self, f"_{fault.kind}", self._ses)(fault)

    def mend(self, *, all_of_it: bool = False) -> None:
        """Do what was put off and is due now."""
        while self._later and (all_of_it or self._later[0][0] <= clock.now()):
            heapq.heappop(self._later)[2]()

    def close(self) -> None:
        self._publisher.close()

    def _after(self, seconds: float, act: Callable[[], object]) -> None:
        heapq.heappush(self._later, (clock.now() + seconds, next(self._order), act))

    def _kill_worker(self, fault: Fault) -> None:
        program = self._rig.workers[fault.which % len(self._rig.workers)]
        self._recovery.killed(pids_of(program.pid))
        self._rig.kill_worker(fault.which)
        self._after(fault.amount * 3, self._rig.start_worker)

    def _kill_child(self, fault: Fault) -> None:
        program = self._rig.workers[fault.which % len(self._rig.workers)]
        children = children_of(program.pid)
        if children:
            child = children[fault.which % len(children)]
            self._recovery.killed({child.pid})
            with suppress(psutil.NoSuchProcess):
                child.kill()

    def _roll_worker(self, fault: Fault) -> None:
        program = self._rig.ask_to_stop(fault.which)
        self._rig.start_worker()
        self._after(7, lambda: self._rig.reap(program, 20))

    def _roll_all(self, fault: Fault) -> None:
        for _ in tuple(self._rig.workers):
            self._roll_worker(Fault("roll_worker", 0, 0))

    def _freeze_worker(self, fault: Fault) -> None:
        program = self._rig.workers[fault.which % len(self._rig.workers)]
        program.signal(signal.SIGSTOP)
        # Longer than the lease: it comes back as a zombie, and must not send what others took.
        self._after(LEASE_SECONDS * (1.2 + fault.amount), lambda: program.signal(signal.SIGCONT))

    def _kill_producer(self, fault: Fault) -> None:
        self._rig.kill_producer()
        self._after(fault.amount, self._rig.start_producer)

    def _kill_redis(self, fault: Fault) -> None:
        self._redis_away = True
        self._rig.kill_redis()
        self._after(fault.amount * 1.5 * LEASE_SECONDS, self._start_redis)

    def _start_redis(self) -> None:
        self._rig.start_redis()
        self._redis_away = False

    def _freeze_redis(self, fault: Fault) -> None:
        self._redis_away = True
        self._rig.freeze_redis()
        self._after(0.5 + fault.amount * 1.5 * LEASE_SECONDS, self._thaw_redis)

    def _thaw_redis(self) -> None:
        self._rig.thaw_redis()
        self._redis_away = False

    def _client_kill(self, fault: Fault) -> None:
        for kind in ("normal", "pubsub"):
            with suppress(redis.RedisError):
                self._rig.client.client_kill_filter(_type=kind, skipme=True)

    def _client_pause(self, fault: Fault) -> None:
        with suppress(redis.RedisError):
            self._rig.client.client_pause(int(500 + fault.amount * 2500))

    def _script_flush(self, fault: Fault) -> None:
        with suppress(redis.RedisError):
            self._rig.client.script_flush()

    def _drop_queue(self, fault: Fault) -> None:
        prefix = f"{self._rig.settings.redis.prefix}celery:"
        with suppress(redis.RedisError):
            self._rig.client.delete(*(f"{prefix}{queue}" for queue in _QUEUES))

    def _publish_twice(self, fault: Fault) -> None:
        with suppress(redis.RedisError):
            key = self._rig.keys.campaign(self._campaign_id).due
            numbers = [int(one) for one in self._rig.client.zrange(key, 0, -1)]
            refs = [
                BatchRef(campaign_id=self._campaign_id, number=number)
                for number in numbers[fault.which % 7 :: 7][:10]
            ]
            self._publisher.batches([*refs, *refs], Lane.BULK)
            self._publisher.split(self._campaign_id)

    def _transient(self, fault: Fault) -> None:
        self._rig.arm(kind="entry", probability=0.1, until_seconds=2.0)

    def _ses(self, fault: Fault) -> None:
        self._rig.arm(
            kind=fault.kind, probability=0.2 + fault.amount * 0.4, until_seconds=1.0, seconds=20.0
        )


def children_of(pid: int) -> list[psutil.Process]:
    """Return the children that run."""
    with suppress(psutil.NoSuchProcess):
        found = psutil.Process(pid).children()
        return [one for one in found if one.status() != psutil.STATUS_ZOMBIE]
    return []


def pids_of(pid: int) -> set[int]:
    """Return a process and its children: under prefork it is they who hold the leases."""
    with suppress(psutil.NoSuchProcess):
        return {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
    return {pid}
