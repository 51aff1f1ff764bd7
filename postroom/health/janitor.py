"""Finds what nobody is looking after, and how to put it right without a person.

A campaign that is not over is always in line for its turn, being split, or waiting for a
person; what died on the way is found here. Every repair may be repeated. The workers sweep by
themselves; `postroom doctor` shows the same by hand.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, Self

from postroom.dispatch.finishing import Finishing
from postroom.errors import (
    LeaseLostError,
    RefusedError,
    StoreUnavailableError,
    UnknownCampaignError,
)
from postroom.model import BatchRef, CampaignId
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.ledger import Ledger, NotClaimed
from postroom.store.live import Live, LiveCampaign

NOBODY_SPLITS: Final = "nobody splits it"
_TIME_OVER: Final = "its time is over"
_HALF_WAY: Final = "it was stopped half-way"
_BATCHES_A_SWEEP: Final = 200
_ASK_SPLIT_SECONDS: Final = 30.0
_SPLIT_BEGINS_SECONDS: Final = 5.0
"""A producer gets so long to take up what was submitted, before it is asked again."""


def _always() -> bool:
    return True


def _nobody_waits(_: CampaignId) -> None:
    """Where no task is to be told that a campaign is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One thing that nobody is looking after."""

    campaign_id: CampaignId
    what: str
    repair: Callable[[], object] = field(repr=False, compare=False)
    """Does it; returns False when there was nothing to do after all."""
    broken: bool = True
    """False: it is what was to happen at that time, and nothing had died."""


class Splitting(Protocol):
    def split(self, campaign_id: CampaignId) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Janitor:
    """Looks at every live campaign."""

    live: Live
    steering: Campaigns
    books: Ledger
    line: Dispatch
    publisher: Splitting
    tell_end: Callable[[CampaignId], None] = _nobody_waits
    """Publishes what waits for the end of a campaign; until it has, the campaign stays live."""

    @classmethod
    def over(cls, store: Store, *, books: Ledger, line: Dispatch, finishing: Finishing) -> Self:
        """Put it together over what a process has already."""
        return cls(
            live=Live(store),
            steering=finishing.campaigns,
            books=books,
            line=line,
            publisher=finishing.publisher,
            tell_end=finishing.tell,
        )

    def sweep(
        self, *, now: float, goes_on: Callable[[], bool] = _always, most: int | None = None
    ) -> list[Repair]:
        """Repair whatever is found; return it. `now` is Redis' clock, in Unix seconds.

        Looks at those first that were looked at the longest ago, and at no more than `most`.
        `goes_on` is asked before each: once it says no, the rest is somebody else's.
        """
        repaired = []
        self.live.begin_step(now=now)
        for campaign in self.live.each_looked_at(now=now, most=most):
            if not goes_on():
                break
            for finding in self._findings(campaign, now):
                # Since the look somebody may have steered the campaign or taken the batch, or
                # its records have expired.
                with suppress(RefusedError, UnknownCampaignError, LeaseLostError):
                    if finding.repair() is not False:
                        repaired.append(finding)
        return repaired

    def findings(
        self, *, now: float, campaigns: Iterable[LiveCampaign] | None = None
    ) -> Iterator[Repair]:
        """Yield what nobody is looking after, of all campaigns or of some; changes nothing."""
        for campaign in self.live.each() if campaigns is None else campaigns:
            yield from self._findings(campaign, now)

    def _findings(self, campaign: LiveCampaign, now: float) -> Iterator[Repair]:
        if campaign.exists and not campaign.sealed_at:
            return  # A draft: its submitter seals it, or it expires.
        expires = campaign.steer == "expired" or _time_is_over(campaign, now)
        for what, repair in self._look_at(campaign, now):
            normal = expires and what in (_TIME_OVER, _HALF_WAY)
            yield Repair(campaign_id=campaign.id, what=what, repair=repair, broken=not normal)

    def _look_at(
        self, campaign: LiveCampaign, now: float
    ) -> Iterator[tuple[str, Callable[[], object]]]:
        one = campaign.id
        if not campaign.exists:
            yield "its records have expired", partial(self.steering.retire, one)
            return
        if campaign.goes_on and _time_is_over(campaign, now):
            yield _TIME_OVER, partial(self.steering.expire, one)
        elif campaign.closing and campaign.pending:
            yield _HALF_WAY, partial(self.steering.close_pending, one)
        if not campaign.may_send and campaign.sending and self._lapsed(campaign):
            yield "a worker died while it was stopped", partial(self._settle_lapsed, campaign)
        if campaign.over and not campaign.open and campaign.open_until <= now:
            yield "its end was not written down", partial(self._end, campaign)
        elif campaign.may_send and not campaign.over and _split_overdue(campaign, now):
            yield NOBODY_SPLITS, partial(self._ask_for_split, campaign)
        if campaign.lost and campaign.route:
            yield "it is not in line for its turn", partial(self.line.wake, campaign.route)

    def _lapsed(self, campaign: LiveCampaign) -> list[int]:
        return self.live.lapsed(campaign.id, most=_BATCHES_A_SWEEP)

    def _settle_lapsed(self, campaign: LiveCampaign) -> None:
        """Nobody claims a batch of a stopped campaign, so nobody settles a dead worker's call."""
        for number in self._lapsed(campaign):
            ref = BatchRef(campaign_id=campaign.id, number=number)
            try:
                self.books.leave(self.books.claim(ref, owner="janitor"))
            except NotClaimed:
                continue

    def _end(self, campaign: LiveCampaign) -> bool:
        """False: whoever settled the last of it has written it down since the look."""
        was_live = self.live.is_live(campaign.id)
        over = self.books.finish(campaign.id)
        if over:
            # One queue of some service may take nothing: the others are told.
            with suppress(StoreUnavailableError):
                self.tell_end(campaign.id)
        return over and was_live

    def _ask_for_split(self, campaign: LiveCampaign) -> bool:
        asks = self.live.once(f"split:{campaign.id}", seconds=_ASK_SPLIT_SECONDS)
        if asks:
            self.publisher.split(campaign.id)
        return asks


def _time_is_over(campaign: LiveCampaign, now: float) -> bool:
    return campaign.not_after is not None and campaign.not_after <= now


def _split_overdue(campaign: LiveCampaign, now: float) -> bool:
    return max(campaign.split_until, campaign.sealed_at + _SPLIT_BEGINS_SECONDS) < now
