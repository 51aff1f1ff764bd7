"""Binds an old campaign to what its sender means now: `postroom rebind`."""

from dataclasses import dataclass
from typing import Final

import msgspec

from postroom.errors import RefusedError
from postroom.meaning import Change, Meaning, changes, meanings
from postroom.model import CampaignId, SenderName
from postroom.settings import Settings
from postroom.store.aliases import Aliases
from postroom.store.bindings import Bindings, Bound
from postroom.store.connection import Store
from postroom.store.sender_registry import SenderRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebinding:
    """What a campaign's sender means, and what it would mean after `rebind`."""

    sender: SenderName
    old: Meaning | None
    """None: the campaign is not bound, and goes by any worker."""
    new: Meaning
    was: str
    """The mark it was bound to at this look."""

    @property
    def changes(self) -> list[Change]:
        return changes(self.new, self.old) if self.old else []


class Rebinder:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._bindings: Final = Bindings(store)
        self._registry: Final = SenderRegistry(store)
        self._aliases: Final = Aliases(store)
        self._own: Final = meanings(settings)

    def proposed(self, campaign_id: CampaignId) -> Rebinding:
        """Return what a campaign is bound to, and what its sender means to those who run now.

        Raises `UnknownCampaignError`, `RefusedError` when the sender is gone or has moved to
        another account: what was split for one account cannot be sent by another.
        """
        bound = self._bindings.bound(campaign_id)
        told = self._registry.meaning_of(bound.sender) or self._own.get(bound.sender)
        return Rebinding(
            sender=bound.sender,
            old=bound.meaning,
            new=self._checked(campaign_id, bound, told),
            was=bound.mark,
        )

    def rebind(self, campaign_id: CampaignId, proposed: Rebinding, *, by: str) -> None:
        """Do what was shown. Safe to repeat.

        Raises `RefusedError` when it is over, or was bound by somebody else meanwhile.
        """
        self._bindings.rebind(campaign_id, was=proposed.was, new=proposed.new, by=by)

    def _checked(self, campaign_id: CampaignId, bound: Bound, told: Meaning | None) -> Meaning:
        if told is None:
            raise RefusedError(
                f"cannot rebind campaign {campaign_id}: nobody knows sender {bound.sender!r} now"
            )
        if told.account != bound.account:
            raise RefusedError(
                f"cannot rebind campaign {campaign_id}: it was split for account "
                f"{bound.account or '(none yet)'}, and {bound.sender} is on account "
                f"{told.account} now; cancel it and submit another"
            )
        return msgspec.structs.replace(told, aws=self._aliases.number(bound.account))
