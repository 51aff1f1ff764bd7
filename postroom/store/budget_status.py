"""One account's budget at one moment, for people."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """One account's budget at one moment, for people."""

    known: bool
    rate: float
    rate_max: float
    quota: float
    window_seconds: float
    used: int
    foreign: int
    throttled: int
    burst_seconds: float
    """What goes at once, in seconds of rate: as set, or as it was learned from SES."""
    halted: str
    """Why a person must act; empty when nobody must."""
    paused: bool
    """Whether a person stopped it on purpose."""


def status_of(has: Mapping[str, str]) -> BudgetStatus:
    """Read a budget hash; its fields stand in `store/budget.py`."""
    return BudgetStatus(
        known="rate_max" in has,
        rate=float(has.get("rate", 0)),
        rate_max=float(has.get("rate_max", 0)),
        quota=float(has.get("quota", -1)),
        window_seconds=float(has.get("window_seconds", 86_400)),
        used=int(float(has.get("used", 0))),
        foreign=int(float(has.get("foreign", 0))),
        throttled=int(has.get("throttled", 0)),
        burst_seconds=float(has.get("learned_burst", has.get("burst_seconds", 0))),
        halted=has.get("halted", ""),
        paused=bool(has.get("paused")),
    )
