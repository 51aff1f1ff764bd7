"""Campaigns while they are received: a draft expires unless it is sealed.

An idempotency key belongs to one draft at a time. A second submitter is turned away while the
first shows signs of life; once it has been silent for `SILENCE_SECONDS` its draft is deleted
and the second one takes the key over. A sealed campaign keeps its key as long as its records.
"""

import hashlib
from contextlib import suppress
from typing import Final

import msgspec

from postroom import wire
from postroom.errors import MaybeSubmittedError, RefusedError, StoreUnavailableError
from postroom.model import Campaign, CampaignId, Recipient, Source
from postroom.settings import Store as StoreSettings
from postroom.store.connection import Store
from postroom.store.submit_keys import SILENCE_SECONDS, KeyState, SubmitKeys


class DraftGoneError(StoreUnavailableError):
    """The draft expired or was taken over: submit the campaign again. Nothing was sent."""


class Drafts:
    """All drafts. Every method raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store, settings: StoreSettings) -> None:
        self._store: Final = store
        self._keep: Final = settings.draft_seconds
        self._retention: Final = settings.retention_seconds
        self._keys: Final = SubmitKeys(store, keep_seconds=settings.draft_seconds)

    def claim_key(
        self, key: str, campaign_id: CampaignId, *, digest: str
    ) -> tuple[CampaignId, str] | None:
        """Claim an idempotency key. Returns None, or the campaign it names and its digest.

        Raises `RefusedError` while another submitter of the same key is at work.
        """
        dead = None
        for _ in range(2):
            held = self._keys.claim(key, campaign_id, digest, dead=dead)
            if held.claim is KeyState.MINE:
                return None
            if held.claim is KeyState.SEALED or self._is_sealed(held.id):
                return held.id, held.digest
            if held.claim is KeyState.BUSY:
                break
            if not self._abandon(held.id):
                return held.id, held.digest
            dead = held
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
        if not added or (key and not self._keys.touch(key, campaign_id)):
            raise DraftGoneError(f"campaign {campaign_id} expired before it was complete")

    def seal(self, campaign_id: CampaignId, *, pages: int, key: str = "", by: str = "") -> None:
        """Make the draft a campaign. Its log begins with who submitted it.

        Raises `DraftGoneError`, and `MaybeSubmittedError` when Redis did not say whether it did.
        """
        self.make_ready(campaign_id, key=key)
        own = self._store.keys.campaign(campaign_id)
        try:
            sealed = self._store.run("seal_draft", [own.campaign, own.pages], [pages, by])
        except StoreUnavailableError as error:
            raise MaybeSubmittedError(campaign_id) from error
        if not sealed:
            raise DraftGoneError(f"campaign {campaign_id} expired before it was complete")

    def make_ready(self, campaign_id: CampaignId, *, key: str) -> None:
        """Take the last steps before the seal, so that no campaign is missed and no key moves.

        Raises `DraftGoneError` when the key has been taken over.
        """
        now, key_of_live = self._store.seconds(), self._store.keys.live
        self._store.ask(lambda client: client.zadd(key_of_live, {campaign_id: now}, nx=True))
        if key and not self._keys.hold(key, campaign_id):
            raise DraftGoneError(f"key {key!r}: another submit has taken it over")

    def discard(self, campaign_id: CampaignId, *, key: str = "") -> bool:
        """Delete a draft that came to nothing and give its key back.

        Returns whether it is gone for good; False: it was sealed after all, and stays.
        """
        if not self._abandon(campaign_id):
            return False
        with suppress(StoreUnavailableError):  # The list and the key forget it by themselves.
            list_key = self._store.keys.campaigns
            self._store.ask(lambda client: client.zrem(list_key, campaign_id))
            if key:
                self._keys.free(key, campaign_id)
        return True

    def record_refused(self, campaign_id: CampaignId, *, name: str, reason: str) -> None:
        """Record a campaign that could not be accepted, where nobody waits for the answer.

        The same id again is the same record.
        """
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

    def _is_sealed(self, campaign_id: CampaignId) -> bool:
        own = self._store.keys.campaign(campaign_id).campaign
        return bool(self._store.ask(lambda client: client.hget(own, "sealed_at")))

    def _abandon(self, campaign_id: CampaignId) -> bool:
        keys = self._store.keys.campaign(campaign_id)
        return bool(self._store.run("abandon_draft", [keys.campaign, keys.pages]))


_UNSET: Final = (
    *("sender", "account", "lane", "weight", "on_ambiguous", "send_at", "not_after", "sealed_at"),
    *(
        "started_at",
        "finished_at",
        "split",
        "source",
        "key",
        "steer",
        "halted",
        "on_finish",
        "told",
        "warning",
    ),
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
        "on_finish": msgspec.json.encode(campaign.on_finish) if campaign.on_finish else "",
    }
