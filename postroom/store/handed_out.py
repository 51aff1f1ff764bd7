"""What the dispatcher hands out: routes, turns, and the batches that were due."""

from dataclasses import dataclass
from typing import Final

from postroom.model import AccountName, CampaignId, Lane
from postroom.store.connection import Step
from postroom.store.keys import Keys

RECORDS: Final = ("routes", "asleep", "wakes", "clocks")
"""What the dispatcher knows of each campaign that is in line or rests; see dispatch.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How the batches of one campaign reach the workers."""

    campaign_id: CampaignId
    account: AccountName
    lane: Lane
    weight: float
    batch_size: int

    def member(self, number: int) -> str:
        return f"{self.account}|{self.lane}|{self.campaign_id}|{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One campaign's turn: so many of its batches may go to the workers."""

    campaign_id: CampaignId
    tickets: tuple[str, ...]
    wakes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DueBatches:
    """Batches that were due, and how long until the next one is."""

    numbers: tuple[int, ...]
    next_ms: int
    """-1: none is left · -2: the campaign may not send now."""
    name: str = ""
    """The campaign's, for people."""


def leaving(keys: Keys, campaign_id: CampaignId, account: AccountName, lane: Lane) -> Step:
    """Return the step that takes a campaign out of the line until it is woken."""
    return resting(keys, campaign_id, account, lane, wakes="", rest_ms=-1)


def resting(
    keys: Keys,
    campaign_id: CampaignId,
    account: AccountName,
    lane: Lane,
    *,
    wakes: str,
    rest_ms: int,
) -> Step:
    """Return the step that lets a campaign rest, if it was not woken since `wakes`."""
    records = [keys.turns(account, lane).turns, *(keys.dispatch(name) for name in RECORDS)]
    return ("rest_campaign", records, [campaign_id, wakes, rest_ms])
