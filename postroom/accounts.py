"""The accounts as people see and steer them: what each may send, and what holds it."""

from typing import Final

from postroom.errors import BadInputError
from postroom.model import AccountName, AccountStatus, Hold, Lane
from postroom.publish import Publisher
from postroom.release import release
from postroom.settings import Settings
from postroom.store.budget import Budget
from postroom.store.connection import Store
from postroom.store.directory import Directory
from postroom.store.dispatch import Dispatch


class Accounts:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(
        self, store: Store, settings: Settings, dispatch: Dispatch, publisher: Publisher
    ) -> None:
        self._configured: Final = frozenset(map(AccountName, settings.accounts))
        self._budget: Final = Budget(store)
        self._directory: Final = Directory(store)
        self._dispatch: Final = dispatch
        self._publisher: Final = publisher

    def all(self) -> list[AccountStatus]:
        """Return every account that these settings, a running process or waiting work names."""
        return [self._status(name) for name in sorted(self._names())]

    def status(self, account: AccountName) -> AccountStatus:
        """Raises `BadInputError` when nobody knows the account."""
        return self._status(self._known(account))

    def pause(self, account: AccountName) -> None:
        """Stop all campaigns and messages of an account until `resume`; safe to repeat.

        Raises `BadInputError` when nobody knows the account.
        """
        self._budget.pause(self._known(account))

    def resume(self, account: AccountName) -> None:
        """Let all campaigns and messages of an account go on at once; safe to repeat.

        Raises `BadInputError` when nobody knows the account.
        """
        # In this order: whoever finds the account held after it was let go, looks again.
        self._budget.resume(self._known(account))
        self._dispatch.let_go(account)
        release(self._dispatch, self._publisher)

    def _known(self, account: AccountName) -> AccountName:
        names = self._names()
        if account not in names:
            there = ", ".join(sorted(names)) or "none"
            raise BadInputError(f"no account {account!r}; there are: {there}")
        return account

    def _names(self) -> frozenset[AccountName]:
        waiting = (account for account, _ in self._dispatch.lanes())
        return self._configured.union(waiting, self._directory.senders().values())

    def _status(self, account: AccountName) -> AccountStatus:
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
            holds=tuple(
                Hold(lane=lane, reason=found[0], until=found[1])
                for lane, found in held.items()
                if found is not None
            ),
            waiting=sum(self._dispatch.waiting(account, lane) for lane in Lane),
        )
