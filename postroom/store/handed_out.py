"""What the dispatcher hands out: routes, turns, and the batches that were due."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from postroom.model import AccountName, BatchRef, CampaignId, Lane

NOTHING_LEFT: Final = -1.0
MAY_NOT_SEND: Final = -2.0
OVER: Final = -3.0


PACE_SECONDS: Final = 2.0
"""A hold of less is the pace of an account, and no trouble that anybody is told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How the batches of one mailing reach the workers."""

    campaign_id: CampaignId
    account: AccountName
    lane: Lane
    weight: float
    batch_size: int
    send_at: float = field(default=0.0, compare=False)
    """It sleeps until then, in Unix seconds; the dispatcher itself does not keep it."""

    def member(self, number: int) -> str:
        return f"{self.account}|{self.lane}|{self.campaign_id}|{number}"

    @property
    def written(self) -> str:
        """As the scripts read it."""
        return f"{self.account}|{self.lane}|{self.weight:.6f}|{self.batch_size}"

    @classmethod
    def read(cls, campaign_id: CampaignId, written: str) -> "Route":
        account, lane, weight, size = written.split("|")
        return cls(
            campaign_id=campaign_id,
            account=AccountName(account),
            lane=Lane(lane),
            weight=float(weight),
            batch_size=int(size),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One mailing's turn: so many of its batches may go to the workers."""

    route: Route
    tickets: tuple[str, ...]
    wakes: str

    @property
    def campaign_id(self) -> CampaignId:
        return self.route.campaign_id


@dataclass(frozen=True, slots=True, kw_only=True)
class DueBatches:
    """Batches that were due, and when the next one is."""

    numbers: tuple[int, ...]
    next_at: float
    """Unix seconds, or `NOTHING_LEFT`, `MAY_NOT_SEND`, `OVER`."""
    name: str = ""
    """The mailing's, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A batch that the caller sends itself: it is out under its ticket."""

    route: Route
    ref: BatchRef
    ticket: str


def read_turns(flat: Sequence[bytes]) -> list[Turn]:
    """Read what `next_turns` answers: one turn a mailing, with all of its tickets."""
    tickets: dict[CampaignId, list[str]] = {}
    found: dict[CampaignId, tuple[str, str]] = {}
    for at in range(0, len(flat), 4):
        campaign_id = CampaignId(flat[at].decode())
        tickets.setdefault(campaign_id, []).append(flat[at + 1].decode())
        found[campaign_id] = flat[at + 2].decode(), flat[at + 3].decode()
    return [
        Turn(route=Route.read(one, route), tickets=tuple(tickets[one]), wakes=wakes)
        for one, (wakes, route) in found.items()
    ]
