"""Campaigns while they are received: a draft expires unless it is sealed.

An idempotency key belongs to one draft at a time. A second submitter is turned away while the
first shows signs of life; once it has been silent for `SILENCE_SECONDS` its draft is deleted
and the second one takes the key over. A sealed campaign keeps its key as long as its records.
"""

import hashlib
from enum import StrEnum
from typing import Final

from postroom import wire
from postroom.errors import RefusedError, StoreUnavailableError
from postroom.model import Campaign, CampaignId, Recipient, Source
from postroom.settings import Store as StoreSettings
from postroom.store.connection import Store

SILENCE_SECONDS: Final = 30


class Claim(StrEnum):
    """What became of the claim of a key."""

    MINE = "MINE"
    SEALED = "SEALED"
    BUSY = "BUSY"
    SILENT = "SILENT"


class DraftGoneError(StoreUnavailableError):
    """The draft expired or was taken over: submit the campaign again. Nothing was sent."""


class Drafts:
    """All drafts. Every method raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store, settings: StoreSettings) -> None:
        self._store: Final = store
        self._keep: Final = settings.draft_seconds
        self._retention: Final = settings.retention_seconds

    def claim_key(
        self, key: str, campaign_id: CampaignId, *, digest: str
    ) -> tuple[CampaignId, str] | None:
        """Claim an idempotency key. Returns None, or the campaign it names and its digest.

        Raises `RefusedError` while another submitter of the same key is at work.
        """
        claim, held_by, held_digest = self._claim(key, campaign_id, digest, dead="")
        if claim is Claim.SILENT:
            if not self._abandon(held_by):
                self._touch(key, held_by, sealed=True)
                return held_by, held_digest
            claim, held_by, held_digest = self._claim(key, campaign_id, digest, dead=held_by)
        if claim is Claim.MINE:
            return None
        if claim is Claim.SEALED:
            return held_by, held_digest
        raise RefusedError(
            f"key {key!r}: another submit with it is under way; "
            f"try again when it has ended or been silent for {SILENCE_SECONDS} s"
        )

    def open(
        self,
        campaign_id: CampaignId,
        campaign: Campaign,
        source: Source,
        *,
        key: str,
        listed: bool = True,
    ) -> None:
        """Begin the records of a campaign; one that is not `listed` is found by its id only."""
        created = self._begin(campaign_id, _fields(campaign, source, key=key))
        if listed:
            self._list(campaign_id, created)

    def add_page(self, campaign_id: CampaignId, number: int, page: bytes, *, key: str = "") -> None:
        """Store one page of the recipients. Raises `DraftGoneError`."""
        keys = self._store.keys.campaign(campaign_id)
        added = self._store.run("add_page", [keys.campaign, keys.pages], [number, page, self._keep])
        if not added or (key and not self._touch(key, campaign_id, sealed=False)):
            raise DraftGoneError(f"campaign {campaign_id} expired before it was complete")

    def seal(self, campaign_id: CampaignId, *, pages: int, key: str = "") -> None:
        """Make the draft a campaign. Raises `DraftGoneError`."""
        self.enlist(campaign_id)
        own = self._store.keys.campaign(campaign_id)
        if not self._store.run("seal_draft", [own.campaign, own.pages], [pages]):
            raise DraftGoneError(f"campaign {campaign_id} expired before it was complete")
        self.keep_key(campaign_id, key=key)

    def enlist(self, campaign_id: CampaignId) -> None:
        """Put a draft among the live campaigns; before its seal, so that none is missed."""
        self._store.ask(lambda client: client.sadd(self._store.keys.live, campaign_id))

    def keep_key(self, campaign_id: CampaignId, *, key: str) -> None:
        """A sealed campaign keeps its idempotency key, if it has one."""
        if key:
            self._touch(key, campaign_id, sealed=True)

    def discard(self, campaign_id: CampaignId, *, key: str = "") -> None:
        """Delete a draft that came to nothing and give its key back. A sealed campaign stays."""
        if self._abandon(campaign_id):
            list_key = self._store.keys.campaigns
            self._store.ask(lambda client: client.zrem(list_key, campaign_id))
            if key:
                self._store.run("free_key", [self._store.keys.submitted(key)], [campaign_id])

    def record_refused(self, campaign_id: CampaignId, *, name: str, reason: str) -> None:
        """Record a campaign that could not be accepted, where nobody waits for the answer."""
        fields = {**_EMPTY, "name": name, "halted": reason, "spec": "", "batch_size": 1}
        created = self._begin(campaign_id, fields, keep_seconds=self._retention)
        own = self._store.keys.campaign(campaign_id).campaign
        self._store.ask(lambda client: client.hset(own, "sealed_at", created))
        self._list(campaign_id, created)

    def _begin(
        self,
        campaign_id: CampaignId,
        fields: dict[str, str | bytes | float],
        *,
        keep_seconds: int | None = None,
    ) -> bytes:
        keys = self._store.keys
        pairs = [part for pair in fields.items() for part in pair]
        keep = self._keep if keep_seconds is None else keep_seconds
        created: bytes = self._store.run(
            "open_draft", [keys.campaign(campaign_id).campaign], [keep, *pairs]
        )
        return created

    def _list(self, campaign_id: CampaignId, created: bytes) -> None:
        key = self._store.keys.campaigns
        self._store.ask(lambda client: client.zadd(key, {campaign_id: float(created)}))

    def _claim(
        self, key: str, campaign_id: CampaignId, digest: str, *, dead: str
    ) -> tuple[Claim, CampaignId, str]:
        claim, held_by, held_digest = self._store.run(
            "claim_key",
            [self._store.keys.submitted(key)],
            [campaign_id, digest, SILENCE_SECONDS, self._keep, dead],
        )
        return Claim(claim.decode()), CampaignId(held_by.decode()), held_digest.decode()

    def _touch(self, key: str, campaign_id: CampaignId, *, sealed: bool) -> bool:
        name = self._store.keys.submitted(key)
        return bool(self._store.run("touch_key", [name], [campaign_id, "1" if sealed else ""]))

    def _abandon(self, campaign_id: CampaignId) -> bool:
        keys = self._store.keys.campaign(campaign_id)
        return bool(self._store.run("abandon_draft", [keys.campaign, keys.pages]))


_UNSET: Final = (
    *("sender", "account", "lane", "weight", "on_ambiguous", "send_at", "not_after", "sealed_at"),
    *("started_at", "finished_at", "split", "source", "key", "steer", "halted"),
)
_EMPTY: Final[dict[str, str | bytes | float]] = dict.fromkeys(_UNSET, "")
"""Every field is there from the start, so that a script never meets one that is missing."""


def digest(campaign: Campaign, source: Source, *recipients: Recipient) -> str:
    """Return a short mark of what a campaign says; a source's recipients are not part of it."""
    content = wire.encode_campaign(campaign) + wire.encode_source(source)
    content += wire.encode_recipients(recipients) if recipients else b""
    return hashlib.sha256(content).hexdigest()[:32]


def _fields(campaign: Campaign, source: Source, *, key: str) -> dict[str, str | bytes | float]:
    return {
        **_EMPTY,
        "spec": wire.encode_campaign(campaign),
        "name": campaign.name,
        "sender": campaign.sender,
        "lane": campaign.lane.value,
        "weight": campaign.weight,
        "batch_size": campaign.batch_size,
        "on_ambiguous": campaign.on_ambiguous.value,
        "send_at": campaign.send_at.timestamp() if campaign.send_at else "",
        "not_after": campaign.not_after.timestamp() if campaign.not_after else "",
        "source": wire.encode_source(source),
        "key": key,
    }
