"""How fast a campaign goes, and when it will be done."""

from typing import Final

from postroom.estimate import DAY, time_needed
from postroom.model import Totals
from postroom.store.budget_status import BudgetStatus

_LEAST_SECONDS: Final = 3.0
"""A rate over less says nothing: one call of fifty would be hundreds a second."""
_STILL_SECONDS: Final = 60.0
"""Nothing was accepted for so long: it does not go at all."""


def rate_of_last_seconds(
    sample: str, accepted: int, now: float, budget: BudgetStatus | None
) -> float:
    """Return recipients a second over the last 10 to 30 seconds; 0.0 where that says nothing.

    `sample` is what settle_call.lua keeps.
    """
    first, _, last = sample.partition(" ")
    if not last:
        return 0.0
    then, _, count = first.partition("|")
    if now - float(last.partition("|")[0]) > _STILL_SECONDS:
        return 0.0
    return rate_over(accepted - int(count), now - float(then), budget)


def rate_over(accepted: int, seconds: float, budget: BudgetStatus | None) -> float:
    """Return recipients a second; 0.0 where it was too short to tell.

    What is allowed bounds it: the burst of a bucket at the edge of a span is no higher rate.
    """
    if seconds < _LEAST_SECONDS:
        return 0.0
    most = max(budget.rate, budget.rate_max) if budget and budget.known else float("inf")
    return min(accepted / seconds, most)


def seconds_left(
    totals: Totals, rate: float, budget: BudgetStatus | None, *, begins_in: float
) -> float | None:
    """Return the seconds until everybody has an outcome, when it begins or goes on so soon.

    None while no rate is known. What waits for the quota has most of it when it goes on.
    """
    allowed = budget.rate if budget and budget.known else 0.0
    per_second = rate or allowed
    if not per_second:
        return None
    limited = budget is not None and budget.known and budget.quota >= 0
    sent = budget.used + budget.foreign if budget and begins_in <= 0 else 0.0
    return max(0.0, begins_in) + time_needed(
        totals.pending + totals.sending,
        per_second=per_second,
        quota=budget.quota if budget and limited else float("inf"),
        sent=sent,
        window_seconds=budget.window_seconds if budget else DAY,
    )
