"""Whose turn it is to read an account from SES, and never too often for all processes together."""

from typing import Final

from postroom.model import AccountName
from postroom.store.aliases import Aliases
from postroom.store.connection import Store

_GAP_MS: Final = 1_100
"""SES takes one management call a second from an account; a little more keeps off the edge."""


class PollLease:
    """Locks that expire by themselves: a process that dies holds nobody up."""

    def __init__(self, store: Store, aliases: Aliases) -> None:
        """Accounts that are one at SES (`aliases`) are each read, but not in the same second."""
        self._store: Final = store
        self._aliases: Final = aliases

    def due(self, account: AccountName, *, every_seconds: float) -> bool:
        """Whether the caller is the one to read the account now. Takes the turn."""
        keys, asked = self._store.keys.account(account), self._asked(account)
        every_ms = int(every_seconds * 1000)
        taken = self._store.ask(
            lambda client: (
                not client.exists(keys.poll)
                and client.set(asked, "1", px=_GAP_MS, nx=True)
                and client.set(keys.poll, "1", px=every_ms, nx=True)
            )
        )
        return bool(taken)

    def free(self, account: AccountName) -> bool:
        """Whether SES may be asked about the account now. Takes this second."""
        asked = self._asked(account)
        return bool(self._store.ask(lambda client: client.set(asked, "1", px=_GAP_MS, nx=True)))

    def soon(self, account: AccountName) -> None:
        """Somebody is to read the account as soon as SES may be asked again."""
        keys = self._store.keys.account(account)
        self._store.ask(lambda client: client.delete(keys.poll))

    def _asked(self, account: AccountName) -> str:
        return self._store.keys.account(self._aliases.owner(account)).asked
