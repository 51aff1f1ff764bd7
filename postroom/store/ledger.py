"""Who may send a batch, and what became of each of its recipients.

A batch is claimed with a lease and a fence; `begin` writes `sending` before a call leaves and
`settle` the outcomes after it. Each step may be repeated and changes the books once. A lease
lapses on Redis' own clock; whoever claims next settles what the dead worker was sending.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Self

from postroom.errors import CampaignStoppedError, LeaseLostError
from postroom.ids import is_segment
from postroom.model import BatchRef, CampaignId, Outcome, Settled
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.finish import Finisher
from postroom.wire import FIRST_REASON, LEDGER


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One worker's right to send one batch, until its lease lapses."""

    ref: BatchRef
    fence: int
    parks: int
    """How often the batch was parked because its tries were spent."""
    states: bytes
    """One ledger byte a recipient."""
    recipients: bytes
    """As wire.decode_batch reads them; of a segment, as entries.decode_entries does."""
    bound: str = ""
    """As `Meaning.bound` writes what the campaign's sender must mean; empty: it is not bound."""
    now: float = 0.0
    """When it was claimed, in Unix seconds by Redis' clock."""

    def open(self) -> list[int]:
        """Indexes of the recipients that still wait to be sent."""
        pending = LEDGER[Outcome.PENDING][0]
        return [index for index, code in enumerate(self.states) if code == pending]


class NotClaimed(Exception):  # noqa: N818 - an answer, not a fault
    """Nothing to do for this task: the batch is somebody else's, done, gone or not wanted now."""

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.detail = detail


class Ledger:
    """The ledgers of all campaigns."""

    def __init__(
        self, store: Store, *, lease_seconds: float, retention_seconds: int, max_crashes: int
    ) -> None:
        self._store: Final = store
        self._lease: Final = lease_seconds
        self._finisher: Final = Finisher(store, retention_seconds=retention_seconds)
        self._max_crashes: Final = max_crashes

    @classmethod
    def from_settings(cls, store: Store, settings: Settings) -> Self:
        """Return the ledger with the lease, retention and crashes of the settings."""
        return cls(
            store,
            lease_seconds=settings.worker.lease_seconds,
            retention_seconds=settings.store.retention_seconds,
            max_crashes=settings.retry.max_crashes,
        )

    def claim(self, ref: BatchRef, *, owner: str) -> Claim:
        """Take the lease of a batch; the same owner gets it again.

        Raises `NotClaimed` when there is nothing to do, `StoreUnavailableError`.
        """
        keys = self._store.keys.campaign(ref.campaign_id)
        answer, *rest = self._store.run(
            "claim_batch",
            [
                *(keys.campaign, keys.batches, keys.ledger, keys.leases, keys.due),
                *(keys.extents, keys.contents),
            ],
            [ref.number, owner, self._lease, self._max_crashes],
        )
        if answer != b"CLAIMED":
            if answer == b"DONE":
                self.finish(ref.campaign_id)
            detail = rest[0] if rest else ""
            text = detail.decode() if isinstance(detail, bytes) else str(detail)
            raise NotClaimed(answer.decode().lower(), text)
        fence, parks, states, recipients, bound, now = rest
        return Claim(
            ref=ref,
            fence=fence,
            parks=parks,
            states=states,
            recipients=recipients,
            bound=bound.decode(),
            now=float(now),
        )

    def begin(self, claim: Claim, indexes: Sequence[int]) -> None:
        """Write `sending` for the recipients of one call, just before it leaves.

        Raises `LeaseLostError`, `CampaignStoppedError`, `StoreUnavailableError`.
        """
        keys = self._store.keys.campaign(claim.ref.campaign_id)
        runs = [number for run in _runs(indexes) for number in (run[0], len(run))]
        answer = self._store.run(
            "begin_call",
            [keys.campaign, keys.ledger, keys.leases, keys.due],
            [claim.ref.number, claim.fence, self._lease, *runs],
        )
        if answer == b"STOPPED":
            raise CampaignStoppedError("the campaign may not send now")
        if answer != b"BEGUN":
            raise LeaseLostError("another worker has this batch")

    def settle(self, claim: Claim, settled: Iterable[Settled]) -> None:
        """Write what became of a call; finish the campaign when nothing of it is open.

        Raises `LeaseLostError`, `StoreUnavailableError`.
        """
        keys = self._store.keys.campaign(claim.ref.campaign_id)
        ordered = sorted(settled, key=lambda one: one.index)
        reasons = list(
            dict.fromkeys(one.reason for one in ordered if one.outcome is Outcome.REJECTED)
        )
        codes = {one.index: _code(one, reasons) for one in ordered}
        runs: list[object] = []
        for run in _runs([one.index for one in ordered]):
            runs += [run[0], bytes(codes[index] for index in run)]
        answer, *still_open = self._store.run(
            "settle_call",
            [
                *(keys.campaign, keys.ledger, keys.leases, keys.reasons),
                *([keys.marks] if is_segment(claim.ref.campaign_id) else ()),
            ],
            [claim.ref.number, claim.fence, len(reasons), *reasons, *runs],
        )
        if answer == b"LOST":
            raise LeaseLostError("another worker has this batch")
        if still_open == [0]:
            self.finish(claim.ref.campaign_id)

    def leave(self, claim: Claim, *, wake_seconds: float = 0.0, tries_spent: bool = False) -> bool:
        """Give the lease back; what is open is looked at again after `wake_seconds`.

        True when nothing of the batch was open. Raises `LeaseLostError`,
        `StoreUnavailableError`.
        """
        keys = self._store.keys.campaign(claim.ref.campaign_id)
        answer = self._store.run(
            "leave_batch",
            [
                *(keys.campaign, keys.ledger, keys.leases, keys.due),
                *(keys.batches, keys.extents, keys.contents),
            ],
            [claim.ref.number, claim.fence, wake_seconds, int(tries_spent)],
        )
        if answer == b"LOST":
            raise LeaseLostError("another worker has this batch")
        return bool(answer == b"DONE")

    def finish(self, campaign_id: CampaignId) -> bool:
        """Date the end of a campaign of which nothing is open. True when it is over."""
        return self._finisher.finish(campaign_id)

    def halt(self, campaign_id: CampaignId, reason: str) -> bool:
        """Stop a campaign until a person resumes it. True when this call halted it."""
        keys = self._store.keys.campaign(campaign_id)
        return bool(self._store.run("halt_campaign", [keys.campaign], [reason]))


def _runs(indexes: Sequence[int]) -> Iterator[list[int]]:
    """Split ascending indexes where they leave a gap."""
    for _, run in groupby(enumerate(indexes), key=lambda pair: pair[1] - pair[0]):
        yield [index for _, index in run]


def _code(one: Settled, reasons: list[str]) -> int:
    if one.outcome is Outcome.REJECTED:
        return FIRST_REASON + reasons.index(one.reason)
    return LEDGER[one.outcome][0]
