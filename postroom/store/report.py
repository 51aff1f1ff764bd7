"""What became of each recipient of a campaign, batch by batch."""

from collections.abc import Collection, Iterator, Set
from typing import Final

from postroom import wire
from postroom.errors import UnknownCampaignError
from postroom.model import BadRow, BatchRef, CampaignId, Outcome, ReportRow
from postroom.store.connection import Store

_SUPPRESSED: Final = "on the suppression list"
_AMBIGUOUS: Final = "the call broke after it had left: SES may or may not have it"


class Reports:
    """Raises `UnknownCampaignError`, `StoreUnavailableError`."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    def rows(
        self, campaign_id: CampaignId, *, only: Collection[Outcome] = frozenset(Outcome)
    ) -> Iterator[ReportRow]:
        """Yield every recipient with one of these outcomes, in the order of the source.

        Memory stays at one batch; a batch in which nobody has such an outcome is not fetched.
        """
        keys = self._store.keys.campaign(campaign_id)
        size, batches = self._store.ask(
            lambda client: client.hmget(keys.campaign, "batch_size", "batches")
        )
        if size is None:
            raise UnknownCampaignError(f"no campaign {campaign_id}")
        for number in range(int(batches or 0)):
            ref = BatchRef(campaign_id=campaign_id, number=number)
            yield from self._batch(ref, int(size), frozenset(only))

    def bad_rows(self, campaign_id: CampaignId) -> list[BadRow]:
        """Return the first thousand rows that nobody is mailed for, and why."""
        key = self._store.keys.campaign(campaign_id).rows
        stored = self._store.ask(lambda client: client.lrange(key, 0, -1))
        return [wire.decode_bad_row(row) for row in stored]

    def _batch(self, ref: BatchRef, size: int, only: Set[Outcome]) -> Iterator[ReportRow]:
        keys = self._store.keys.campaign(ref.campaign_id)
        start = ref.number * size
        codes: bytes = self._store.ask(
            lambda client: client.getrange(keys.ledger, start, start + size - 1)
        )
        if codes and only.isdisjoint(map(wire.outcome_of, set(codes))):
            return
        pipeline = self._store.client.pipeline(transaction=False)
        pipeline.hget(keys.batches, str(ref.number))
        pipeline.hgetall(keys.reasons)
        stored, numbered = self._store.ask(lambda _: pipeline.execute())
        if stored is None or not codes:
            raise UnknownCampaignError(f"the records of campaign {ref.campaign_id} have expired")
        reasons = {int(number): reason.decode() for reason, number in numbered.items()}
        batch = wire.decode_batch(ref, stored)
        for recipient, code in zip(batch.recipients, codes, strict=True):
            outcome = wire.outcome_of(code)
            if outcome in only:
                reason = _reason(outcome, code, reasons)
                yield ReportRow(email=recipient.email, outcome=outcome, reason=reason)


def _reason(outcome: Outcome, code: int, reasons: dict[int, str]) -> str:
    if outcome is Outcome.REJECTED:
        return reasons.get(code, "")
    return {Outcome.SUPPRESSED: _SUPPRESSED, Outcome.AMBIGUOUS: _AMBIGUOUS}.get(outcome, "")
