"""Writes one campaign's batches under its lease, at the pace that Redis has room for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from postroom.clock import Clock
from postroom.errors import StoreUnavailableError
from postroom.store.split import SplitLease, Splits, Written
from postroom.submission.shipping import FULL
from producers.counters import Counters
from producers.cutting import CutBatch
from producers.dispatch_hint import DispatchHint
from producers.retrying import StoreRetry

_BATCHES_A_WRITE: Final = 20
_BYTES_A_WRITE: Final = 4 << 20
_WRITES_BETWEEN_LOOKS: Final = 32
_WAKE_SECONDS: Final = 1.0
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterContext:
    """What a writer works with."""

    splits: Splits
    line: DispatchHint
    patience: StoreRetry
    memory_share: Callable[[], float]
    clock: Clock
    lease_seconds: float


class Writer:
    """Every method raises `StopRequested`, and `SplitLostError` when another has taken over."""

    def __init__(self, context: WriterContext, lease: SplitLease, *, held_back: bool) -> None:
        """`held_back`: nothing is sent before `finish`."""
        self._context: Final = context
        self._lease: Final = lease
        self._held_back: Final = held_back
        self._next = lease.batches
        self._writes = 0
        self._renew_at = 0.0
        self._wake_at = 0.0

    def write(self, batches: Iterator[CutBatch], counters: Counters) -> None:
        """Store batches, a few at a time."""
        while group := _group(batches):
            self._wait_for_room()
            self._store(
                Written(
                    first=self._next,
                    batches=[one.encoded for one in group],
                    states=b"".join(one.states for one in group),
                    digest=group[-1].digest,
                    counts=counters.counts,
                    notes=counters.take_notes(),
                )
            )
            self._next += len(group)
        self._keep()

    def warn(self, warning: str) -> None:
        """Keep what a person should know of the recipients."""
        self._ask(lambda: self._context.splits.warn(self._lease, warning))

    def finish(self, counters: Counters) -> bool:
        """The source is read; returns whether the campaign is finished with that."""
        notes, splits = counters.take_notes(), self._context.splits
        finished = self._ask(lambda: splits.finish(self._lease, counters.counts, notes))
        if not finished:
            self._wake()
        return finished

    def _store(self, written: Written) -> None:
        splits = self._context.splits
        self._ask(lambda: splits.write(self._lease, written, held_back=self._held_back))
        self._renewed()
        if not self._held_back and self._context.clock() >= self._wake_at:
            self._wake_at = self._context.clock() + _WAKE_SECONDS
            self._wake()

    def _keep(self) -> None:
        """Keep the lease while nothing is written: when going on, or when all rows are bad."""
        self._context.patience.check()
        if self._context.clock() >= self._renew_at:
            self._ask(lambda: self._context.splits.renew(self._lease))
            self._renewed()

    def _renewed(self) -> None:
        self._renew_at = self._context.clock() + self._context.lease_seconds / 3

    def _wake(self) -> None:
        try:
            self._context.line.wake(self._lease.campaign_id)
        except StoreUnavailableError:
            return  # A hint: the workers' own tick finds what is due.

    def _wait_for_room(self) -> None:
        self._writes += 1
        if self._writes % _WRITES_BETWEEN_LOOKS != 1:
            return
        while self._ask(self._context.memory_share) > FULL:
            self._ask(lambda: self._context.splits.renew(self._lease))
            self._context.patience.wait()

    def _ask(self, step: Callable[[], _Answer]) -> _Answer:
        return self._context.patience.ask(step)


def _group(batches: Iterator[CutBatch]) -> list[CutBatch]:
    group: list[CutBatch] = []
    size = 0
    for batch in batches:
        group.append(batch)
        size += len(batch.encoded)
        if len(group) == _BATCHES_A_WRITE or size > _BYTES_A_WRITE:
            break
    return group
