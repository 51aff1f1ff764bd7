"""What is done to the run queue, as steps: one alone, or several in one round trip."""

from collections.abc import Collection, Sequence
from typing import Final

from postroom.model import AccountName, CampaignId, Lane
from postroom.store import presence
from postroom.store.connection import Step
from postroom.store.handed_out import OVER, Route
from postroom.store.keys import Keys

_LANES: Final = (Lane.TRANSACTIONAL, Lane.BULK)


def picking(
    keys: Keys,
    *,
    window: float,
    ticket: str,
    lives_seconds: float,
    at_most: int,
    of_each: int,
    serves: Collection[AccountName] | None,
    but: Collection[CampaignId],
) -> Step:
    parts = ("ready", "out", "slots", "room", "going", "full")
    own = [one for lane in _LANES for one in _of(keys, lane, *parts)]
    shared = _named(keys, "line", "routes", "wakes", "clocks", "spent", "limits", "held")
    args = [window, ticket, lives_seconds, at_most, of_each, presence.served(serves), *but]
    return ("next_turns", [*shared, *own], args)


def waking(keys: Keys, route: Route | None, *, within: float = 0.0, sleepers: int = 0) -> Step:
    names = ("line", "routes", "asleep", "wakes", "clocks", "spent", "held", "lanes")
    ready = [one for lane in _LANES for one in _of(keys, lane, "ready")]
    moment = [f"{route.send_at:.6f}", f"{within:.6f}"] if route else []
    mailing = [route.campaign_id, route.written, *moment] if route else []
    return ("wake_mailings", [*_named(keys, *names), *ready], [sleepers, *mailing])


def resting(keys: Keys, campaign_id: CampaignId, *, wakes: str, until: float) -> Step:
    """Let a mailing rest, if it was not woken since `wakes`.

    `until` is in Unix seconds, or as in `DueBatches.next_at`.
    """
    over = int(until == OVER)
    names = _named(keys, "line", "routes", "asleep", "wakes", "clocks")
    return ("rest_mailing", names, [campaign_id, wakes, f"{until:.6f}", over])


def leaving(keys: Keys, campaign_id: CampaignId) -> Step:
    """Take a mailing out of the line until it is woken."""
    return resting(keys, campaign_id, wakes="", until=OVER)


def placing(keys: Keys, lane: Lane, lives_seconds: float, pairs: Sequence[str]) -> Step:
    """Turn tickets into batches; `pairs` are a ticket, its batch or '', a ticket, ..."""
    names = [*_of(keys, lane, "out", "going", "ready"), *_named(keys, "spent")]
    return ("place_out", names, [lives_seconds, *pairs])


def beginning(keys: Keys, route: Route, member: str, lives_seconds: float) -> Step:
    shared = _named(keys, "line", "routes", "clocks", "asleep")
    names = [*_of(keys, route.lane, "out", "going"), *shared]
    return ("begin_turn", names, [member, route.campaign_id, lives_seconds])


def ending(keys: Keys, route: Route, member: str, lives_seconds: float, sent: int) -> Step:
    """End the turn of a batch, or of a ticket."""
    shared = _named(keys, "line", "routes", "clocks", "spent")
    names = [*_of(keys, route.lane, "out", "going"), *shared, *_of(keys, route.lane, "ready")]
    return ("end_turn", names, [member, route.campaign_id, sent, lives_seconds])


def holding(
    keys: Keys,
    account: AccountName,
    lane: Lane,
    *,
    seconds: float = 0.0,
    look_seconds: float = 0.0,
    reason: str = "",
) -> Step:
    """Hold an account and lane, or let it go: after no seconds."""
    hold = keys.turns(account, lane).hold
    names = [hold, *_named(keys, "held"), *_of(keys, lane, "ready"), *_named(keys, "spent")]
    args = [account, lane, f"{seconds:.3f}", f"{look_seconds:.3f}", reason]
    return ("hold_account", names, args)


def _of(keys: Keys, lane: Lane, *names: str) -> list[str]:
    return [keys.dispatch(f"{name}:{lane}") for name in names]


def _named(keys: Keys, *names: str) -> list[str]:
    return [keys.dispatch(name) for name in names]
