"""What calls to SES brought an account: totals that only grow, and the pace of the last hour.

Both are written where a grant is settled (settle_budget.lua), once and never again: after a
crash they may lack the call in flight, and the outcomes that a dead worker's calls get later.
The books of the campaigns are the truth; these are for rates, and for counters that must not
fall when records expire.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from postroom.model import AccountName
from postroom.store.aliases import Aliases
from postroom.store.connection import Store

_CELLS: Final = 360
_CELL_SECONDS: Final = 10
_CELL: Final = struct.Struct("<IIIf")
"""As shared/count_outcomes.lua writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceCell:
    """Ten seconds of one account in which there was a call."""

    at: float
    """When they began, in Unix seconds."""
    accepted: int
    """Recipients that SES took."""
    throttled: int
    """Recipients that SES refused for the rate."""
    allowed: float
    """Recipients a second that the limiter allowed at the last call."""


class AccountTotals:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store) -> None:
        """Accounts that are one at SES have one budget, and so the same totals and pace."""
        self._store: Final = store
        self._aliases: Final = Aliases(store)

    def totals(self, account: AccountName) -> Mapping[str, int]:
        """Return what there ever was, by name.

        `OUTCOME:LANE` are recipients: accepted, rejected, suppressed (found so at the last
        moment), ambiguous, and throttled, who are sent again. `calls:OPERATION:RESULT` are
        requests to SES: bulk or single; ok, throttled or failed.
        """
        key = self._store.keys.account(self._aliases.owner(account)).totals
        found: Mapping[bytes, bytes] = self._store.ask(lambda client: client.hgetall(key))
        return {name.decode(): int(number) for name, number in sorted(found.items())}

    def pace(self, account: AccountName) -> Sequence[PaceCell]:
        """Return the last hour, oldest first."""
        key = self._store.keys.account(self._aliases.owner(account)).ring
        stored: bytes = self._store.ask(lambda client: client.get(key)) or b""
        newest = int(self._store.seconds()) // _CELL_SECONDS
        whole = len(stored) // _CELL.size * _CELL.size
        cells = sorted(_CELL.iter_unpack(stored[:whole]))
        return [
            PaceCell(
                at=float(number * _CELL_SECONDS),
                accepted=accepted,
                throttled=throttled,
                allowed=allowed,
            )
            for number, accepted, throttled, allowed in cells
            if newest - _CELLS < number <= newest
        ]
