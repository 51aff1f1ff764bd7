"""Segments of messages, as those who send them read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from postroom.content.entries import check_format
from postroom.errors import UnknownCampaignError
from postroom.model import AccountName, CampaignId, Lane, OnAmbiguous, SenderName
from postroom.store.connection import Store

_FIELDS: Final = ("account", "sender", "lane", "on_ambiguous", "format")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRecord:
    """What the messages of one segment have in common."""

    account: AccountName
    sender: SenderName
    lane: Lane
    on_ambiguous: OnAmbiguous


class Segments:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    def read(self, segment: CampaignId) -> SegmentRecord:
        """Raises `UnknownCampaignError`, and `NewerFormatError` when a newer Postroom wrote it."""
        key = self._store.keys.campaign(segment).campaign
        found = self._store.ask(lambda client: client.hmget(key, _FIELDS))
        if found[0] is None:
            raise UnknownCampaignError(f"no segment {segment}")
        account, sender, lane, on_ambiguous, written = (one.decode() for one in found)
        check_format(int(written), segment)
        return SegmentRecord(
            account=AccountName(account),
            sender=SenderName(sender),
            lane=Lane(lane),
            on_ambiguous=OnAmbiguous(on_ambiguous),
        )

    def contents(self, segment: CampaignId, ids: Sequence[str]) -> list[bytes | None]:
        """Return contents of a segment; None for one that no open message needs any more."""
        key = self._store.keys.campaign(segment).contents
        found: list[bytes | None] = self._store.ask(lambda client: client.hmget(key, ids))
        return found
