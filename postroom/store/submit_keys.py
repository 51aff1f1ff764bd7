"""Idempotency keys of submits: which campaign each of them names.

Key and campaign live in different slots of Redis, so no script writes both. The campaign is the
truth: what a key names was submitted when that campaign is sealed. What makes it one campaign a
key: nobody seals before `hold` has said that the key is still its own, and nobody takes a key
over before it has deleted the draft that the key names and found that it was not held meanwhile.
So either the late one finds its key gone, or the draft it would seal.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from postroom.model import CampaignId
from postroom.store.connection import Step, Store

SILENCE_SECONDS: Final = 30


class KeyState(StrEnum):
    """What became of the claim of a key."""

    MINE = "MINE"
    SEALED = "SEALED"
    BUSY = "BUSY"
    SILENT = "SILENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The answer to a claim, and the campaign that the key names when it is another's."""

    claim: KeyState
    id: CampaignId
    digest: str
    touched: str
    """The last sign of life of its submitter, as it is stored."""


class SubmitKeys:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store, *, keep_seconds: int) -> None:
        """A key whose campaign is not sealed is kept for so long after the last sign of life."""
        self._store: Final = store
        self._keep: Final = keep_seconds

    def claim(
        self, key: str, campaign_id: CampaignId, digest: str, *, dead: Claimed | None
    ) -> Claimed:
        """Let a key name a new campaign if it names none, or only the `dead` one."""
        gone = (dead.id, dead.touched) if dead else ("", "")
        found = self._store.run(
            "claim_key",
            [self._store.keys.submitted(key)],
            [campaign_id, digest, SILENCE_SECONDS, self._keep, *gone],
        )
        claim, held_by, held_digest, touched = (part.decode() for part in found)
        return Claimed(
            claim=KeyState(claim), id=CampaignId(held_by), digest=held_digest, touched=touched
        )

    def touch(self, key: str, campaign_id: CampaignId) -> bool:
        """Show that the submitter is alive. False: the key is another's."""
        return self._touch(key, campaign_id, seconds=self._keep)

    def hold(self, key: str, campaign_id: CampaignId) -> bool:
        """Keep a key until its campaign is over; before the seal. False: the key is another's."""
        return self._touch(key, campaign_id, seconds=0)

    def end(self, key: str, campaign_id: CampaignId, *, seconds: int) -> None:
        """The campaign is over: its key outlives its records, and then goes too."""
        self._touch(key, campaign_id, seconds=seconds, sealed=True)

    def free(self, key: str, campaign_id: CampaignId) -> None:
        """Give a key back whose draft is deleted."""
        self._store.run("free_key", [self._store.keys.submitted(key)], [campaign_id])

    def named(self, key: str) -> CampaignId | None:
        """Return the campaign that a key names, sealed or not."""
        name = self._store.keys.submitted(key)
        found: bytes | None = self._store.ask(lambda client: client.hget(name, "id"))
        return CampaignId(found.decode()) if found else None

    def _touch(
        self, key: str, campaign_id: CampaignId, *, seconds: int, sealed: bool = False
    ) -> bool:
        own = self._store.keys.submitted(key)
        return bool(self._store.run(*touching(own, campaign_id, seconds=seconds, sealed=sealed)))


def touching(own: str, campaign_id: CampaignId, *, seconds: int, sealed: bool) -> Step:
    """Return the step that keeps a key (at `own`) for so long; 0: until its campaign is over."""
    return ("touch_key", [own], [campaign_id, "1" if sealed else "", seconds])
