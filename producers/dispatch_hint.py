"""Puts campaigns in line for the workers as soon as they have batches."""

from typing import Final

from postroom.broker.publish import Publisher
from postroom.dispatch.release import release
from postroom.model import CampaignId
from postroom.settings import Settings
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch


class DispatchHint:
    """The real line. Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store, settings: Settings, publisher: Publisher) -> None:
        self._campaigns: Final = Campaigns(store, settings.store)
        self._publisher: Final = publisher
        self._dispatch: Final = Dispatch(store, settings)

    def wake(self, campaign_id: CampaignId) -> None:
        route = self._campaigns.info(campaign_id).route(campaign_id)
        if route is not None:
            self._dispatch.wake(route)
            release(self._dispatch, self._publisher)
