"""What the running processes know of senders, asked at most once a second."""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from postroom.clock import Clock
from postroom.content.checks import check_sender
from postroom.meaning import Meaning, meanings
from postroom.model import AccountName, SenderName
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.sender_registry import SenderRegistry

_STANDS_SECONDS: Final = 1.0
"""What is told of a sender may be so old: a new meaning is taken up by the messages after it."""

_Told = TypeVar("_Told")


class KnownSenders:
    """Senders by our own settings, else by what producers and workers announce."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._registry: Final = SenderRegistry(store)
        self._own: Final = {
            SenderName(name): AccountName(one.account) for name, one in settings.senders.items()
        }
        self._means: Final = meanings(settings)
        self._clock: Final = clock
        self._kept: Final[dict[str, tuple[float, object]]] = {}

    def senders(self) -> Mapping[SenderName, AccountName]:
        """Return every sender and its account. Raises `StoreUnavailableError`."""
        return self._own or self._fresh("senders", self._registry.senders)

    def check(self, sender: str) -> None:
        """Raise `BadInputError` for a sender that nobody knows."""
        check_sender(sender, self.senders())

    def meaning_of(self, sender: SenderName) -> Meaning | None:
        """Return what a sender means to those who send; else to our own settings."""
        told = self._fresh(f"meaning {sender}", lambda: self._registry.meaning_of(sender))
        told = told or self._means.get(sender)
        return told if told and told.account == self.senders().get(sender) else None

    def _fresh(self, what: str, ask: Callable[[], _Told]) -> _Told:
        kept = self._kept.get(what)
        if kept is None or kept[0] <= self._clock():
            kept = (self._clock() + _STANDS_SECONDS, ask())
            self._kept[what] = kept
        told: _Told = kept[1]  # type: ignore[assignment]
        return told
