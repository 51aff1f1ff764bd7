"""Which account sections are the same AWS account and Region: they share one budget.

Two sections may differ in credentials, send mode or share and still be one account at SES, with
one rate and one quota. The first that is read from SES owns the budget, the others are aliases
of it; the budget of an alias is never filled, so nothing is granted on it by whoever has not
heard yet.
"""

from typing import Final

from postroom import clock
from postroom.clock import Clock
from postroom.model import AccountName
from postroom.store.connection import Store

_KNOWN_SECONDS: Final = 5.0


class Aliases:
    """As this process knows them; asked of Redis anew every few seconds.

    Raises `StoreUnavailableError` when Redis is away.
    """

    def __init__(self, store: Store, *, clock: Clock = clock.monotonic) -> None:
        self._store: Final = store
        self._clock: Final = clock
        self._owners: dict[AccountName, AccountName] = {}
        self._known_at = 0.0

    def register(self, section: AccountName, identity: str, *, sure: bool) -> AccountName:
        """Say which AWS account and Region a section is; return who owns the budget."""
        keys = self._store.keys
        owner, moved = self._store.run(
            "register_account",
            [keys.accounts("identities"), keys.accounts("sections")],
            [section, identity, int(sure)],
        )
        owns = AccountName(owner.decode())
        self._owners[section] = owns
        if moved or owns != section:
            self.refresh()  # It costs as much as there are sections, and most share with nobody.
        return owns

    def owner(self, account: AccountName) -> AccountName:
        """Return the section whose budget an account uses; most have their own."""
        if self._clock() - self._known_at > _KNOWN_SECONDS:
            self.refresh()
        return self._owners.get(account, account)

    def number(self, account: AccountName) -> str:
        """Return the number of the AWS account that a section is; empty where nobody could tell."""
        key = self._store.keys.accounts("sections")
        found: bytes | None = self._store.ask(lambda client: client.hget(key, account))
        kind, _, rest = (found or b"").decode().partition(":")
        return rest.partition(":")[0] if kind == "aws" else ""

    def sharing(self, account: AccountName) -> list[AccountName]:
        """Return all sections that use the same budget, with the account itself."""
        owner = self.owner(account)
        found = (one for one, owned_by in self._owners.items() if owned_by == owner)
        return sorted({account, owner, *found})

    def refresh(self) -> None:
        keys = self._store.keys
        names = keys.accounts("identities"), keys.accounts("sections")
        owners, sections = self._store.ask(lambda client: [client.hgetall(name) for name in names])
        self._owners = {
            AccountName(section.decode()): AccountName(owners[identity].decode())
            for section, identity in sections.items()
            if identity in owners
        }
        self._known_at = self._clock()
