"""A client and a producer in this process, over a real Redis, and what they have written."""

from collections import Counter
from threading import Event
from typing import Any

from postroom import wire
from postroom.client import Postroom
from postroom.model import BatchRef, Campaign, CampaignId, Recipient, SenderName, Status
from postroom.settings import Settings
from postroom.store.connection import Store
from producers.producer import Producer


def campaign(**changes: Any) -> Campaign:
    plain: dict[str, Any] = {
        "name": "spring",
        "sender": SenderName("news"),
        "subject": "Hello",
        "text": "Good morning",
    }
    return Campaign(**{**plain, **changes})


class ClientHarness:
    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.stop = Event()
        self.post = Postroom(settings=settings)
        self.producer = Producer(settings, store, self.stop)

    def close(self) -> None:
        self.post.close()

    def submitted(self, given: Any, *, strict: bool = False, **changes: Any) -> CampaignId:
        return self.post.submit(campaign(**changes), given, strict=strict).id

    def split(self, campaign_id: CampaignId) -> Status:
        """Split a campaign here and now; return how it stands then."""
        self.producer.split(campaign_id)
        return self.checked(campaign_id)

    def checked(self, campaign_id: CampaignId) -> Status:
        """Return how a campaign stands, after a look into its books."""
        status = self.post.status(campaign_id)
        assert status.totals.balanced
        keys = self.store.keys.campaign(campaign_id)
        codes = Counter(map(wire.outcome_of, self.store.client.get(keys.ledger) or b""))
        for outcome, count in codes.items():
            assert getattr(status.totals, outcome) == count, outcome
        assert sum(codes.values()) == status.totals.total == len(self.recipients(campaign_id))
        return status

    def recipients(self, campaign_id: CampaignId) -> list[Recipient]:
        """Return the recipients of all batches, in their order."""
        stored = self.store.client.hgetall(self.store.keys.campaign(campaign_id).batches)
        found = []
        for number in sorted(map(int, stored)):
            ref = BatchRef(campaign_id=campaign_id, number=number)
            found += wire.decode_batch(ref, stored[str(number).encode()]).recipients
        return found

    def emails(self, campaign_id: CampaignId) -> list[str]:
        return [recipient.email for recipient in self.recipients(campaign_id)]
