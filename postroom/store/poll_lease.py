"""Whose turn it is to read an account from SES, and never too often for all processes together.

`readings`: account -> when it is due · `named`: account -> when a process had it in its settings ·
`asked`: account at SES -> when it was asked about, for a second. All by Redis' clock.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import count, islice
from typing import Any, Final

from postroom import clock
from postroom.clock import Clock
from postroom.model import AccountName
from postroom.store.aliases import Aliases
from postroom.store.connection import Store

_GAP_SECONDS: Final = 1.1
"""SES takes one management call a second from an account; a little more keeps off the edge."""
_NAME_SECONDS: Final = 30.0
"""Between two times that a process names its accounts: a Redis that lost them waits no longer."""
_FORGET_SECONDS: Final = 600
_PAGE: Final = 100


class PollLease:
    """Turns that come again by themselves: a process that dies reading holds nobody up.

    Raises `StoreUnavailableError` when Redis is away.
    """

    def __init__(
        self,
        store: Store,
        aliases: Aliases,
        accounts: Collection[AccountName],
        *,
        clock: Clock = clock.monotonic,
    ) -> None:
        """`accounts` are those that this process may read.

        Those that are one at SES (`aliases`) are each read, but not in the same second.
        """
        self._store: Final = store
        self._aliases: Final = aliases
        self._accounts: Final = sorted(accounts)
        self._clock: Final = clock
        self._name_at = 0.0

    def due(self, serves: Callable[[AccountName], bool], *, at_most: int) -> list[AccountName]:
        """Return the accounts that this process `serves` and that are due, longest due first.

        One round trip for each hundred that are due and that it does not serve.
        """
        if self._clock() >= self._name_at:
            self._name()
        return list(islice(filter(serves, self._all_due()), at_most)) if at_most else []

    def claim(
        self, due: Mapping[AccountName, float], *, out_of_turn: Collection[AccountName] = ()
    ) -> list[AccountName]:
        """Take the turns of those that are `due`, each due again after so many seconds.

        Returns those that the caller is to read: no other process has taken them, and SES may be
        asked about them. n is the accounts given.
        """
        wanted = [*due.items(), *((account, 0.0) for account in out_of_turn)]
        if not wanted:
            return []
        parts: list[Any] = [_GAP_SECONDS]
        for account, again_seconds in wanted:
            parts += [account, self._aliases.owner(account), again_seconds]
        taken = self._store.run(
            "claim_readings", [self._store.keys.readings, self._key("asked")], parts
        )
        return [AccountName(one.decode()) for one in taken]

    def read_in(self, account: AccountName, *, seconds: float) -> None:
        """Somebody is to read the account after so many seconds, as soon as SES may be asked."""
        self._store.run("delay_reading", [self._store.keys.readings], [account, seconds])

    def _all_due(self) -> Iterator[AccountName]:
        for start in count(0, _PAGE):
            names = self._store.run("due_readings", [self._store.keys.readings], [start, _PAGE])
            yield from (AccountName(one.decode()) for one in names)
            if len(names) < _PAGE:
                return

    def _name(self) -> None:
        if self._accounts:
            keys = [self._store.keys.readings, self._key("named")]
            self._store.run("register_readings", keys, [_FORGET_SECONDS, *self._accounts])
        self._name_at = self._clock() + _NAME_SECONDS

    def _key(self, name: str) -> str:
        return self._store.keys.accounts(name)
