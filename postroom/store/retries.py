"""Who of a campaign may be mailed again: by outcome and reason, and each of them once.

What is marked are ledger codes, not words: two reasons that share a word have two codes, and a
recipient has one. A mark is set once and never moves, so whatever words are used next, a code
leads to the same retry, and to all codes of it.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from postroom import wire
from postroom.errors import UnknownCampaignError
from postroom.model import BatchRef, CampaignId, Outcome, Recipient
from postroom.store.connection import Store

_CHUNK: Final = 1 << 20
_MARK: Final = "retried:"
_OUTCOMES: Final = (Outcome.REJECTED, Outcome.AMBIGUOUS, Outcome.EXPIRED)
"""Which may be mailed once more. Suppressed and cancelled were left out on purpose."""


class Retries:
    """Raises `UnknownCampaignError`, `StoreUnavailableError`."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    def counts(self, campaign_id: CampaignId) -> Mapping[int, int]:
        """Return how many recipients each ledger code has that may be sent again.

        Reads the whole ledger, a byte a recipient, in pieces of a megabyte.
        """
        key = self._store.keys.campaign(campaign_id).ledger
        length = self._store.ask(lambda client: client.strlen(key))
        counts: Counter[int] = Counter()
        for start in range(0, length, _CHUNK):
            counts.update(self._piece(key, start, _CHUNK))
        may_be = {code: n for code, n in counts.items() if wire.outcome_of(code) in _OUTCOMES}
        return dict(sorted(may_be.items()))

    def reasons(self, campaign_id: CampaignId) -> Mapping[int, str]:
        """Return the reason that each code of a rejected recipient stands for."""
        key = self._store.keys.campaign(campaign_id).reasons
        numbered = self._store.ask(lambda client: client.hgetall(key))
        return {int(number): reason.decode() for reason, number in numbered.items()}

    def claim(self, campaign_id: CampaignId, codes: Sequence[int], *, by: str = "") -> set[int]:
        """Mark these codes, unless they were marked before; return the retries they belong to.

        Raises `UnknownCampaignError`.
        """
        key = self._store.keys.campaign(campaign_id).campaign
        retries = set(self._store.run("claim_retry", [key], [by, *codes]))
        if not retries:
            raise UnknownCampaignError(f"the records of campaign {campaign_id} have expired")
        return retries

    def marks(self, campaign_id: CampaignId) -> Mapping[int, int]:
        """Return the retry of each code that was marked. Raises `UnknownCampaignError`."""
        key = self._store.keys.campaign(campaign_id).campaign
        found: Mapping[bytes, bytes] = self._store.ask(lambda client: client.hgetall(key))
        if not found:
            raise UnknownCampaignError(f"no campaign {campaign_id}")
        named = {name.decode(): value for name, value in found.items()}
        return {
            int(name.removeprefix(_MARK)): int(value)
            for name, value in named.items()
            if name.startswith(_MARK)
        }

    def recipients(self, campaign_id: CampaignId, codes: Collection[int]) -> Iterator[Recipient]:
        """Yield those with one of these codes, in the order of the source."""
        keys = self._store.keys.campaign(campaign_id)
        found = self._store.ask(lambda client: client.hmget(keys.campaign, "batch_size", "batches"))
        size, batches = (int(value or 0) for value in found)
        for number in range(batches):
            states = self._piece(keys.ledger, number * size, size)
            if any(code in states for code in codes):
                ref = BatchRef(campaign_id=campaign_id, number=number)
                yield from self._of_batch(ref, states, codes)

    def _piece(self, ledger: str, start: int, length: int) -> bytes:
        end = start + length - 1
        found: bytes = self._store.ask(lambda client: client.getrange(ledger, start, end))
        return found

    def _of_batch(
        self, ref: BatchRef, states: bytes, codes: Collection[int]
    ) -> Iterator[Recipient]:
        key = self._store.keys.campaign(ref.campaign_id).batches
        stored = self._store.ask(lambda client: client.hget(key, str(ref.number)))
        if stored is None:
            raise UnknownCampaignError(f"the records of campaign {ref.campaign_id} have expired")
        batch = wire.decode_batch(ref, stored)
        for recipient, code in zip(batch.recipients, states, strict=True):
            if code in codes:
                yield recipient
