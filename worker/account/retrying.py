"""While Redis is away nothing is sent: whoever asks it waits, and goes on by himself.

`waiting` gives up when the process is asked to stop; `settling` goes on for its grace, because
what it cannot write is in doubt afterwards.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from tenacity import Retrying

from postroom.errors import StoreUnavailableError
from postroom.model import AccountName, BatchRef, CampaignId, Settled
from postroom.store.budget import Ask, Budget, Grant, Wait
from postroom.store.ledger import Claim, Ledger


class RetryingBudget:
    """The budget; a take that may have run is taken again, which errs on the safe side."""

    def __init__(self, budget: Budget, waiting: Retrying) -> None:
        self._budget: Final = budget
        self._waiting: Final = waiting

    def take(self, account: AccountName, ask: Ask, *, max_wait_seconds: float) -> Grant | Wait:
        return self._waiting(self._budget.take, account, ask, max_wait_seconds=max_wait_seconds)

    def settle(
        self,
        account: AccountName,
        grant: Grant,
        *,
        counted: int,
        unsent: int,
        brought: Mapping[str, int],
    ) -> None:
        """Settle once: a repeat of one that ran could give back what was granted to others.

        A grant that is not settled stays counted in full, which errs on the safe side.
        """
        with suppress(StoreUnavailableError):
            self._budget.settle(account, grant, counted=counted, unsent=unsent, brought=brought)

    def withdraw(self, account: AccountName, waiter: str) -> None:
        """Leave the line, once: it forgets who does not come back, a second later."""
        with suppress(StoreUnavailableError):
            self._budget.withdraw(account, waiter)

    def throttled(self, account: AccountName, *, factor: float, refused: int, drawn: int) -> float:
        throttled = self._budget.throttled
        return self._waiting(throttled, account, factor=factor, refused=refused, drawn=drawn)

    def halt(self, account: AccountName, reason: str) -> None:
        self._waiting(self._budget.halt, account, reason)

    def stopped(self, account: AccountName) -> bool:
        return self._budget.stopped(account)


class RetryingLedger:
    """The ledger; every step of it may be repeated and changes the books once."""

    def __init__(self, ledger: Ledger, waiting: Retrying, *, settling: Retrying) -> None:
        self._ledger: Final = ledger
        self._waiting: Final = waiting
        self._settling: Final = settling

    def claim(self, ref: BatchRef, *, owner: str) -> Claim:
        return self._waiting(self._ledger.claim, ref, owner=owner)

    def begin(self, claim: Claim, indexes: Sequence[int]) -> None:
        self._waiting(self._ledger.begin, claim, indexes)

    def settle(self, claim: Claim, settled: Iterable[Settled]) -> None:
        self._settling(self._ledger.settle, claim, list(settled))

    def leave(self, claim: Claim, *, wake_seconds: float = 0.0, tries_spent: bool = False) -> bool:
        return self._settling(
            self._ledger.leave, claim, wake_seconds=wake_seconds, tries_spent=tries_spent
        )

    def halt(self, campaign_id: CampaignId, reason: str) -> bool:
        return self._waiting(self._ledger.halt, campaign_id, reason)
