"""Campaigns that are split already, on real Redis, and their books."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from postroom import wire
from postroom.clock import now
from postroom.ids import Place, new_campaign_id, place_of
from postroom.model import (
    AccountName,
    BatchRef,
    Campaign,
    CampaignId,
    Lane,
    OnAmbiguous,
    Outcome,
    Recipient,
    SenderName,
    Source,
    Totals,
)
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.dispatch import Route
from postroom.store.drafts import Drafts
from postroom.store.ledger import Ledger
from postroom.store.split import Counts, Splits, Written

ACCOUNT = AccountName("main")
SENDER = SenderName("news")


def message_ref(message: CampaignId) -> BatchRef:
    """Return the batch of a message that waited alone when it was handed in."""
    place = place_of(message)
    assert isinstance(place, Place)
    return BatchRef(campaign_id=place.segment, number=place.position)


@dataclass(frozen=True)
class PreparedCampaign:
    """A campaign that may be sent."""

    id: CampaignId
    route: Route
    addresses: tuple[str, ...]
    store: Store

    def ref(self, number: int = 0) -> BatchRef:
        return BatchRef(campaign_id=self.id, number=number)

    @property
    def numbers(self) -> range:
        return range(-(-len(self.addresses) // self.route.batch_size))

    def field(self, name: str) -> str:
        key = self.store.keys.campaign(self.id).campaign
        return (self.store.client.hget(key, name) or b"").decode()

    def set(self, **values: Any) -> None:
        key = self.store.keys.campaign(self.id).campaign
        self.store.client.hset(key, mapping=values)

    @property
    def ledger(self) -> bytes:
        return self.store.client.get(self.store.keys.campaign(self.id).ledger) or b""

    def due(self, number: int = 0) -> float | None:
        return self.store.client.zscore(self.store.keys.campaign(self.id).due, number)

    def lapse(self, number: int = 0) -> None:
        """Let the lease of a batch be over, as if its worker had been dead for long."""
        keys = self.store.keys.campaign(self.id)
        fence, _, rest = self.store.client.hget(keys.leases, str(number)).decode().split("|", 2)
        past = f"{self.store.seconds() - 1:.3f}"
        self.store.client.hset(keys.leases, str(number), f"{fence}|{past}|{rest}")
        self.store.client.zadd(keys.due, {str(number): past})

    def totals(self) -> Totals:
        names = [one.name for one in fields(Totals)]
        found = self.store.client.hmget(self.store.keys.campaign(self.id).campaign, names)
        counts = {name: int(value or 0) for name, value in zip(names, found, strict=True)}
        return Totals(**counts)

    def check_books(self) -> Totals:
        """The law, and that the counters say what the ledger says."""
        totals = self.totals()
        assert totals.balanced, totals
        written = Counter(wire.outcome_of(code).value for code in self.ledger)
        counted = {one.value: getattr(totals, one.value) for one in Outcome}
        assert counted == {one.value: written[one.value] for one in Outcome}
        assert totals.total == len(self.ledger) == len(self.addresses)
        return totals


def make(
    store: Store,
    settings: Settings,
    recipients: int | Iterable[Recipient] = 10,
    *,
    batch_size: int = 500,
    lane: Lane = Lane.BULK,
    weight: float = 1.0,
    on_ambiguous: OnAmbiguous = OnAmbiguous.SKIP,
    split: bool = True,
    account: AccountName = ACCOUNT,
    sender: SenderName = SENDER,
    **more: Any,
) -> PreparedCampaign:
    """Submit and split a campaign, as client and producers do."""
    campaign = Campaign(
        name="Autumn",
        sender=sender,
        lane=lane,
        weight=weight,
        on_ambiguous=on_ambiguous,
        batch_size=batch_size,
        **{"subject": "Hello", "text": "Dear {{ name }}", "defaults": {"name": "reader"}, **more},
    )
    given = people(recipients) if isinstance(recipients, int) else list(recipients)
    campaign_id = new_campaign_id(now)
    drafts = Drafts(store, settings.store)
    drafts.open(campaign_id, campaign, Source(), key="")
    drafts.seal(campaign_id, pages=0)
    _write(Splits(store, settings), campaign_id, given, batch_size, account=account, finish=split)
    route = Route(
        campaign_id=campaign_id,
        account=account,
        lane=lane,
        weight=weight,
        batch_size=batch_size,
    )
    return PreparedCampaign(campaign_id, route, tuple(one.email for one in given), store)


def people(count: int) -> list[Recipient]:
    return [Recipient(f"user{number}@example.org") for number in range(count)]


def ledger(store: Store, *, lease_seconds: float = 30.0, max_crashes: int = 5) -> Ledger:
    return Ledger(
        store, lease_seconds=lease_seconds, retention_seconds=3600, max_crashes=max_crashes
    )


def _write(
    splits: Splits,
    campaign_id: CampaignId,
    given: list[Recipient],
    size: int,
    *,
    account: AccountName,
    finish: bool,
) -> None:
    lease = splits.claim(campaign_id, owner="splitter", account=account)
    assert lease is not None
    cut = [given[at : at + size] for at in range(0, len(given), size)]
    written = Written(
        first=0,
        batches=[wire.encode_recipients(batch) for batch in cut],
        states=b"p" * len(given),
        counts=Counts(rows=len(given)),
    )
    splits.write(lease, written, held_back=False)
    if finish:
        splits.finish(lease, Counts(rows=len(given)), [])
