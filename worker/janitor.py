"""Finds what nobody is looking after, and puts it right without a person.

A campaign that is not over is always in line for its turn, being split, or waiting for a
person; what died on the way is found here. Every step may be repeated.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from postroom.model import AccountName, BatchRef, CampaignId, Lane
from postroom.store.dispatch import Route
from postroom.store.ledger import Claim, NotClaimed
from postroom.store.live import LiveCampaign

log = structlog.get_logger()

_BATCHES_A_SWEEP: Final = 200
_ASK_SPLIT_SECONDS: Final = 30.0


class Campaigns(Protocol):
    """Every campaign that is not over."""

    def campaigns(self) -> list[LiveCampaign]: ...
    def lapsed(self, campaign_id: CampaignId, *, most: int) -> list[int]: ...
    def once(self, what: str, *, seconds: float) -> bool: ...


class Steering(Protocol):
    """Ends campaigns whose time is over, and takes those that are over off the live ones."""

    def expire(self, campaign_id: CampaignId) -> None: ...
    def close_pending(self, campaign_id: CampaignId) -> int: ...
    def retire(self, campaign_id: CampaignId) -> bool: ...


class Books(Protocol):
    def claim(self, ref: BatchRef, *, owner: str) -> Claim: ...
    def leave(
        self, claim: Claim, *, wake_seconds: float = 0.0, tries_spent: bool = False
    ) -> bool: ...
    def finish(self, campaign_id: CampaignId) -> bool: ...


class Line(Protocol):
    def wake(self, route: Route) -> None: ...
    def drop(self, campaign_id: CampaignId, account: AccountName, lane: Lane) -> None: ...
    def route(self, campaign_id: CampaignId) -> Route | None: ...


class Splitting(Protocol):
    def split(self, campaign_id: CampaignId) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Janitor:
    """One sweep looks at every live campaign; one process at a time sweeps."""

    live: Campaigns
    steering: Steering
    books: Books
    line: Line
    publisher: Splitting

    def sweep(self, *, now: float) -> None:
        """Look after every live campaign. `now` is Redis' clock, in Unix seconds."""
        for campaign in self.live.campaigns():
            self._look_after(campaign, now)

    def _look_after(self, campaign: LiveCampaign, now: float) -> None:
        if not campaign.exists:
            self.steering.retire(campaign.id)
            return
        if campaign.not_after is not None and campaign.not_after <= now and not campaign.over:
            self.steering.expire(campaign.id)
        elif campaign.steer in ("cancelled", "expired") and campaign.pending:
            self.steering.close_pending(campaign.id)
        if not campaign.may_send:
            self._settle_lapsed(campaign)
        if campaign.over and not campaign.pending + campaign.sending:
            self._end(campaign)
        elif not campaign.over and campaign.may_send and campaign.split_until < now:
            self._ask_for_split(campaign)
        self._keep_in_line(campaign)

    def _settle_lapsed(self, campaign: LiveCampaign) -> None:
        """Nobody claims a batch of a stopped campaign, so nobody settles a dead worker's call."""
        if not campaign.sending:
            return
        for number in self.live.lapsed(campaign.id, most=_BATCHES_A_SWEEP):
            ref = BatchRef(campaign_id=campaign.id, number=number)
            try:
                self.books.leave(self.books.claim(ref, owner="janitor"))
            except NotClaimed:
                continue

    def _end(self, campaign: LiveCampaign) -> None:
        if self.books.finish(campaign.id):
            self.steering.retire(campaign.id)
            if campaign.route:
                self.line.drop(campaign.id, campaign.route.account, campaign.route.lane)
            log.info("campaign.over", campaign_id=campaign.id)

    def _ask_for_split(self, campaign: LiveCampaign) -> None:
        if self.live.once(f"split:{campaign.id}", seconds=_ASK_SPLIT_SECONDS):
            self.publisher.split(campaign.id)

    def _keep_in_line(self, campaign: LiveCampaign) -> None:
        open_work = campaign.may_send and campaign.pending + campaign.sending
        if open_work and campaign.route and self.line.route(campaign.id) is None:
            self.line.wake(campaign.route)
