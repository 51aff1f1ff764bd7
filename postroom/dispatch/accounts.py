"""The accounts as people see and steer them: what each may send, and what holds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from postroom.broker.publish import Publisher
from postroom.dispatch.release import release
from postroom.errors import BadInputError
from postroom.model import AccountName, Lane
from postroom.settings import Settings
from postroom.store.budget import Budget
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.presence import RunningWorker, Trouble, workers
from postroom.store.sender_registry import SenderRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why nothing of one lane of an account goes, and until when (Unix seconds)."""

    lane: Lane
    reason: str
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """One account at one moment. Rates are recipients a second, the rest recipients."""

    name: AccountName
    halted: str
    """Why a person must act; empty when nobody must."""
    paused: bool
    """Whether a person stopped it on purpose."""
    rate: float | None
    """Allowed now; None until SES has told."""
    max_send_rate: float | None
    """As SES says, less what is left to others."""
    quota: float | None
    """In the rolling window; None when there is none, or SES has not told."""
    used: int
    """Sent by us in the window."""
    foreign: int
    """Sent by others on the account in the window, beyond what is left to them."""
    throttled: int
    """Refused by SES for the rate so far."""
    burst_seconds: float | None
    """What goes at once, in seconds of rate, as learned from SES; None until SES has told."""
    holds: tuple[Hold, ...]
    waiting: int
    """Campaigns and messages that stand in line for it."""
    workers: int
    """Worker processes that send for it now."""
    shares_with: tuple[AccountName, ...]
    """Other sections that are the same AWS account and Region: one budget for all of them."""
    troubles: tuple[Trouble, ...]
    """What keeps others from it."""


class AccountControl:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(
        self, store: Store, settings: Settings, dispatch: Dispatch, publisher: Publisher
    ) -> None:
        self._configured: Final = frozenset(map(AccountName, settings.accounts))
        self._store: Final = store
        self._budget: Final = Budget(store)
        self._registry: Final = SenderRegistry(store)
        self._dispatch: Final = dispatch
        self._publisher: Final = publisher

    def all(self) -> list[AccountStatus]:
        """Return every account that these settings, a running process or waiting work names."""
        there = workers(self._store)
        return [self._status(name, there) for name in sorted(self._names(there))]

    def status(self, account: AccountName) -> AccountStatus:
        """Raises `BadInputError` when nobody knows the account."""
        return self._status(self.known(account), workers(self._store))

    def pause(self, account: AccountName, *, by: str) -> None:
        """Stop all campaigns and messages of an account until `resume`; safe to repeat.

        Raises `BadInputError` when nobody knows the account.
        """
        self._budget.pause(self.known(account), by=by)

    def resume(self, account: AccountName, *, by: str) -> None:
        """Let all campaigns and messages of an account go on at once; safe to repeat.

        Raises `BadInputError` when nobody knows the account.
        """
        # In this order: whoever finds the account held after it was let go, looks again.
        self._budget.resume(self.known(account), by=by)
        for one in self._budget.aliases.sharing(account):
            self._dispatch.release_hold(one)
        release(self._dispatch, self._publisher)

    def resume_halted(self, account: AccountName, *, by: str) -> None:
        """Let a halted account go on; one that a person paused stays paused."""
        status = self._budget.status(account)
        if status.halted and not status.paused:
            self.resume(account, by=by)

    def known(self, account: AccountName) -> AccountName:
        """Return it. Raises `BadInputError` when nobody knows the account."""
        names = self._names(workers(self._store))
        if account not in names:
            there = ", ".join(sorted(names)) or "none"
            raise BadInputError(f"no account {account!r}; there are: {there}")
        return account

    def _names(self, there: Sequence[RunningWorker]) -> frozenset[AccountName]:
        waiting = (account for account, _ in self._dispatch.lanes())
        named = self._registry.senders().values()
        return self._configured.union(waiting, named, *(one.accounts for one in there))

    def _status(self, account: AccountName, there: Sequence[RunningWorker]) -> AccountStatus:
        budget = self._budget.status(account)
        held = {lane: self._dispatch.held(account, lane) for lane in Lane}
        return AccountStatus(
            name=account,
            halted=budget.halted,
            paused=budget.paused,
            rate=budget.rate if budget.known else None,
            max_send_rate=budget.rate_max if budget.known else None,
            quota=budget.quota if budget.known and budget.quota >= 0 else None,
            used=budget.used,
            foreign=budget.foreign,
            throttled=budget.throttled,
            burst_seconds=budget.burst_seconds if budget.known else None,
            holds=tuple(
                Hold(lane=lane, reason=found[0], until=found[1])
                for lane, found in held.items()
                if found is not None
            ),
            waiting=sum(self._dispatch.waiting(account, lane) for lane in Lane),
            workers=sum(one.serves(account) for one in there),
            shares_with=tuple(
                one for one in self._budget.aliases.sharing(account) if one != account
            ),
            troubles=tuple(
                trouble for one in there for trouble in one.troubles if trouble.account == account
            ),
        )
