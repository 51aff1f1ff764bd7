"""Campaigns as this process sends them: read and compiled once, and kept while they are sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tenacity import Retrying

from postroom.errors import BadInputError, NeedsPersonError, WorkerUnfitError
from postroom.model import AccountName, CampaignId, SenderName
from postroom.settings import Sender as SenderSettings
from postroom.store.dispatch import Route
from postroom.store.live import Live
from worker.render import Mailing
from worker.sending.calls import CompiledCampaign
from worker.sending.delivery import Delivery

_KEPT: Final = 1024
"""More than there are accounts with work: each has its campaign, and one that has to be read anew
for each batch costs two round trips. What is large in it is shared by all with the same content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignCache:
    """Makes postings from records."""

    records: Live
    senders: Mapping[str, SenderSettings]
    delivery: Callable[[AccountName, Mailing], Delivery]
    unknown: Callable[[CampaignId], WorkerUnfitError]
    """What to raise for a sender that the settings do not know on the campaign's account."""
    waiting: Retrying
    """Waits for a Redis that is away: the task holds no lease yet, but its batch is out."""

    def cached(self) -> Callable[[CampaignId], CompiledCampaign]:
        """Return `make` with its last results kept: a campaign never changes once submitted."""
        return lru_cache(maxsize=_KEPT)(self.make)

    def make(self, campaign_id: CampaignId) -> CompiledCampaign:
        """Raises `UnknownCampaignError`, `NeedsPersonError`, `NewerFormatError`.

        And `WorkerUnfitError` when this worker's settings do not know the sender;
        `StoreUnavailableError` when the process stops while Redis is away.
        """
        campaign = self.waiting(self.records.campaign, campaign_id)
        account = self.waiting(self.records.account, campaign_id)
        sender = self.senders.get(campaign.sender)
        if sender is None or sender.account != account:
            raise self.waiting(self.unknown, campaign_id)
        try:
            mailing = Mailing(campaign_id, campaign, sender)
        except BadInputError as fault:
            raise NeedsPersonError(str(fault)) from None
        route = Route(
            campaign_id=campaign_id,
            account=account,
            lane=campaign.lane,
            weight=campaign.weight,
            batch_size=campaign.batch_size,
        )
        return CompiledCampaign(
            sender=SenderName(campaign.sender),
            route=route,
            on_ambiguous=campaign.on_ambiguous,
            delivery=self.delivery(account, mailing),
            on_finish=campaign.on_finish,
        )
