"""What campaigns are bound to: the meaning that their sender had when they were taken in."""

from dataclasses import dataclass
from typing import Final

from postroom.errors import RefusedError, UnknownCampaignError
from postroom.meaning import Meaning, decoded, encoded
from postroom.model import AccountName, CampaignId, SenderName
from postroom.store.connection import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One campaign's sender and what it is bound to."""

    sender: SenderName
    account: AccountName
    mark: str
    """Empty: any meaning will do."""
    meaning: Meaning | None


class Bindings:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    def bound(self, campaign_id: CampaignId) -> Bound:
        """Raises `UnknownCampaignError`."""
        key = self._store.keys.campaign(campaign_id).campaign
        found = self._store.ask(
            lambda client: client.hmget(key, "sender", "account", "bound", "means")
        )
        if found[0] is None:
            raise UnknownCampaignError(f"no campaign {campaign_id}")
        sender, account, mark, means = (value or b"" for value in found)
        return Bound(
            sender=SenderName(sender.decode()),
            account=AccountName(account.decode()),
            mark=mark.decode(),
            meaning=decoded(means) if means else None,
        )

    def rebind(self, campaign_id: CampaignId, *, was: str, new: Meaning, by: str = "") -> None:
        """Bind a campaign that is bound to `was` to another meaning. Safe to repeat.

        Raises `RefusedError` when it is over, or somebody else has bound it meanwhile.
        """
        key = self._store.keys.campaign(campaign_id).campaign
        said = [was, new.bound, encoded(new), by]
        answer = self._store.run("rebind_campaign", [key], said).decode()
        if answer != "BOUND":
            raise RefusedError(f"cannot rebind campaign {campaign_id}: {_WHY[answer]}")


_WHY: Final = {
    "OVER": "it is over",
    "CHANGED": "somebody else has bound it meanwhile; look again",
}
