"""Whom a campaign's end must still be told: an outbox of one, beside its records."""

from dataclasses import dataclass, fields
from typing import Final

import msgspec

from postroom.model import CampaignId, OnFinish, State, Totals
from postroom.store.connection import Store

_COUNTERS: Final = tuple(field.name for field in fields(Totals))
_FACTS: Final = ("on_finish", "told", "finished_at", "steer")


@dataclass(frozen=True, slots=True, kw_only=True)
class DueCallback:
    """The end of one campaign, and the task that is to be told of it."""

    on_finish: OnFinish
    state: State
    totals: Totals


class Callbacks:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    def due(self, campaign_id: CampaignId) -> DueCallback | None:
        """Return what must be told; None while the campaign is not over, and once it was told."""
        key = self._store.keys.campaign(campaign_id).campaign
        found = self._store.ask(lambda client: client.hmget(key, *_FACTS, *_COUNTERS))
        wanted, told, finished_at, steer, *counted = ((value or b"").decode() for value in found)
        if told or not (wanted and finished_at):
            return None
        stopped = steer in (State.CANCELLED, State.EXPIRED)
        counters = zip(_COUNTERS, counted, strict=True)
        return DueCallback(
            on_finish=msgspec.json.decode(wanted, type=OnFinish),
            state=State(steer) if stopped else State.FINISHED,
            totals=Totals(**{name: int(value or 0) for name, value in counters}),
        )

    def told(self, campaign_id: CampaignId) -> None:
        """Note that the task is published; records that are gone meanwhile do not come back."""
        key = self._store.keys.campaign(campaign_id).campaign
        self._store.run("mark_told", [key])
