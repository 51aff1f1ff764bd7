"""What the dispatcher hands out: routes, turns, and the batches that were due."""

from dataclasses import dataclass

from postroom.model import AccountName, CampaignId, Lane


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
class Due:
    """Batches that were due, and how long until the next one is."""

    numbers: tuple[int, ...]
    next_ms: int
    """-1: none is left · -2: the campaign may not send now."""
