"""Campaigns as this process sends them: read and compiled once, and kept while they are sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

from tenacity import Retrying

from postroom.clock import Clock
from postroom.errors import BadInputError, NeedsPersonError, WorkerUnfitError
from postroom.ids import is_segment
from postroom.model import AccountName, CampaignId, Recipient, SenderName
from postroom.settings import Sender as SenderSettings
from postroom.store.dispatch import Route
from postroom.store.ledger import Claim
from postroom.store.live import Live
from postroom.store.segments import Segments
from postroom.wire import decode_batch
from worker.render import Mailing
from worker.sending.delivery import Delivery, Mailings
from worker.sending.segments import Segment
from worker.sending.work import CompiledCampaign

_KEPT: Final = 1024
"""More than there are accounts with work: each has its campaign, and one that has to be read anew
for each batch costs two round trips. What is large in it is shared by all with the same content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignCache:
    """Makes postings from records."""

    records: Live
    segments: Segments
    senders: Mapping[str, SenderSettings]
    delivery: Callable[[AccountName, Mailings], Delivery]
    unknown: Callable[[CampaignId], WorkerUnfitError]
    """What to raise for a sender that the settings do not know on the campaign's account."""
    clock: Clock
    """Goes on while the host sleeps: messages have a `not_after` of their own."""
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
        if is_segment(campaign_id):
            return self._segment(campaign_id)
        campaign, account = self.waiting(self.records.submitted, campaign_id)
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
            decode=_recipients,
            on_finish=campaign.on_finish,
        )

    def _segment(self, segment_id: CampaignId) -> CompiledCampaign:
        record = self.waiting(self.segments.read, segment_id)
        sender = self.senders.get(record.sender)
        if sender is None or sender.account != record.account:
            raise self.waiting(self.unknown, segment_id)
        contents = partial(self.waiting, self.segments.contents)
        segment = Segment(segment_id, record.sender, sender, contents, self.clock)
        return CompiledCampaign(
            sender=record.sender,
            route=Route(
                campaign_id=segment_id,
                account=record.account,
                lane=record.lane,
                weight=1.0,
                batch_size=1,
            ),
            on_ambiguous=record.on_ambiguous,
            delivery=self.delivery(record.account, segment),
            decode=segment.recipients,
            on_finish=None,
        )


def _recipients(claim: Claim) -> tuple[Recipient, ...]:
    return decode_batch(claim.ref, claim.recipients).recipients
