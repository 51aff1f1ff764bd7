"""Tells services that their campaigns are over: `on_finish` of a campaign.

The wish stands with the campaign's records, and a campaign stays live until its task is
published: whoever dies in between is followed by the janitor. So the task comes at least once.
"""

from dataclasses import dataclass
from typing import Self

from postroom.broker.publish import Publisher
from postroom.model import CampaignId
from postroom.settings import Settings
from postroom.store.callbacks import Callbacks
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Finishing:
    """Raises `StoreUnavailableError` when Redis or the broker is away: ask again."""

    callbacks: Callbacks
    campaigns: Campaigns
    publisher: Publisher

    @classmethod
    def from_settings(cls, store: Store, settings: Settings, publisher: Publisher) -> Self:
        """Put it together over what a process has already."""
        campaigns = Campaigns(store, settings.store)
        return cls(callbacks=Callbacks(store), campaigns=campaigns, publisher=publisher)

    def tell(self, campaign_id: CampaignId) -> None:
        """Publish what is due of a campaign that is over. Safe to ask at any time, and to repeat;
        a repeat that comes in between publishes the same task, with the same id, once more.
        """
        due = self.callbacks.due(campaign_id)
        if due is None:
            return
        self.publisher.finished(due.on_finish, campaign_id, due.state, due.totals)
        self.callbacks.told(campaign_id)
        self.campaigns.retire(campaign_id)
