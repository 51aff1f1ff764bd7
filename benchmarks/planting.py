"""Thousands of campaigns of a kind, copied on Redis from one that was submitted and split."""

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.lab import Lab
from postroom import clock
from postroom.ids import new_campaign_id
from postroom.model import CampaignId
from postroom.settings import load
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch

_AT_ONCE = 500


def copies(store: Store, of: CampaignId, number: int, facts: Mapping[str, Any]) -> list[CampaignId]:
    """Make so many campaigns that are as `of` but for some facts; nobody knows of them yet."""
    records = {
        own: store.client.dump(name)
        for own, name in zip(
            ("campaign", "batches", "ledger", "due"), _records(store, of), strict=True
        )
    }
    made = [new_campaign_id(clock.now) for _ in range(number)]
    for at in range(0, number, _AT_ONCE):
        pipeline = store.client.pipeline(transaction=False)
        for one in made[at : at + _AT_ONCE]:
            for name, record in zip(_records(store, one), records.values(), strict=True):
                pipeline.restore(name, 0, record)
            if facts:
                pipeline.hset(store.keys.campaign(one).campaign, mapping=dict(facts))
            pipeline.zadd(store.keys.campaigns, {one: clock.now()})
            pipeline.zadd(store.keys.live, {one: clock.now()})
        pipeline.execute()
    return made


def put_in_line(room: Lab, store: Store, campaigns: Iterable[CampaignId]) -> None:
    """Wake them, as a producer does that has split them."""
    settings = load(room.stack.environ)
    dispatch, records = Dispatch(store, settings), Campaigns(store, settings.store)
    for one in campaigns:
        if route := records.info(one).route(one):
            dispatch.wake(route)


def _records(store: Store, campaign_id: CampaignId) -> tuple[str, ...]:
    keys = store.keys.campaign(campaign_id)
    return keys.campaign, keys.batches, keys.ledger, keys.due
