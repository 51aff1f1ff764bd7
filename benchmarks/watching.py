"""Looks into a running stack: its leases, its queues, what the local SES has taken."""

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

from benchmarks.lab import Lab
from postroom.broker import queues
from postroom.localstack import simulator
from postroom.model import CampaignId, Lane
from postroom.settings import load
from postroom.store.connection import Store


def pause(seconds: float) -> None:
    time.sleep(seconds)  # noqa: TID251 - a benchmark's own pace


def until(condition: Callable[[], object], what: str, *, seconds: float = 300) -> float:
    """Wait; return how long it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise SystemExit(f"waited {seconds:g} s in vain until {what}")
        pause(0.02)
    return time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Watch:
    """Redis and the local SES of one stack."""

    room: Lab
    store: Store

    def accepted_in_all(self) -> int:
        return int(simulator.stats(self.room.stack.ses_url)["accepted"])

    def accepted(self, campaign_id: CampaignId) -> int:
        stats = simulator.stats(self.room.stack.ses_url)
        return int(stats["accepted_per_campaign"].get(campaign_id, 0))

    def last_accepted_at(self) -> float:
        return float(simulator.stats(self.room.stack.ses_url)["last_accepted_at"])

    def times(self, address: str) -> dict[str, float]:
        """Return when a mail to each address that has `address` in it was accepted."""
        found = simulator.asked(self.room.stack.ses_url, f"mails?limit=1000000&address={address}")
        return {mail["to"][0]: mail["at"] for mail in found["mails"]}

    def leases(self, campaign_id: CampaignId) -> dict[bytes, tuple[bytes, bytes]]:
        """Return batch -> fence and owner, of the batches that somebody holds."""
        key = self.store.keys.campaign(campaign_id).leases
        records = self.store.client.hgetall(key).items()
        split = {number: record.split(b"|") for number, record in records}
        return {number: (parts[0], parts[2]) for number, parts in split.items() if parts[2]}

    def held_by(self, campaign_id: CampaignId, pid: int) -> dict[bytes, bytes]:
        """Return batch -> fence, of the batches that one process holds."""
        return {
            number: fence
            for number, (fence, owner) in self.leases(campaign_id).items()
            if owner.split(b":")[1] == str(pid).encode()
        }

    def queued(self) -> int:
        """Return how many messages wait in the broker for the workers."""
        return sum(map(self._length, (queues.BATCHES, queues.TRANSACTIONAL)))

    def running(self) -> int:
        """Return how many tasks the workers have in hand."""
        return int(self.store.client.hlen(f"{self._prefix}unacked"))

    def out(self) -> int:
        """Return how many bulk batches are released and not back."""
        return int(self.store.client.zcard(self.store.keys.dispatch(f"out:{Lane.BULK}")))

    def slots(self) -> int:
        found = self.store.client.hvals(self.store.keys.dispatch(f"slots:{Lane.TRANSACTIONAL}"))
        return sum(int(slot.partition(b"|")[0]) for slot in found)

    @property
    def _prefix(self) -> str:
        return f"{load(self.room.stack.environ).redis.prefix}celery:"

    def _length(self, queue: str) -> int:
        return int(self.store.client.llen(f"{self._prefix}{queue}"))


@contextmanager
def watch(room: Lab) -> Any:
    store = Store(load(room.stack.environ).redis, client_name="benchmark")
    try:
        yield Watch(room, store)
    finally:
        store.close()


@contextmanager
def sampled(figure: Callable[[], int], every_seconds: float = 0.05) -> Any:
    """Collect a figure in the background; the list grows until the block ends."""
    samples: list[int] = []
    over = Event()

    def run() -> None:
        while not over.wait(every_seconds):
            samples.append(figure())

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def share(values: list[float], part: float) -> float:
    """Return the value that `part` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
