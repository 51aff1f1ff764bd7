"""The end of a campaign: dated once nothing of it is open, and its records then expire."""

from typing import Final

from postroom.model import CampaignId
from postroom.store.connection import Store


class Endings:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store, *, retention_seconds: int) -> None:
        self._store: Final = store
        self._retention: Final = retention_seconds

    def finish(self, campaign_id: CampaignId) -> bool:
        """Date the end of a campaign of which nothing is open. True when it is over.

        Safe to ask at any time, and to repeat.
        """
        keys = self._store.keys.campaign(campaign_id)
        return bool(self._store.run("finish_campaign", keys.all(), [self._retention]))
