"""Follow one campaign until it is over: a living block in a terminal, else a line now and then."""

import re
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Final

from rich.live import Live

from postroom import clock
from postroom.cli import view
from postroom.cli.console import notes, say_json
from postroom.cli.session import Quota
from postroom.client import Postroom
from postroom.errors import PostroomError
from postroom.model import CampaignId, State, Status
from postroom.settings import Settings
from postroom.views.records import status_record

_DIGITS: Final = re.compile(r"\d+")
_DRAWN_SECONDS: Final = 0.2
_TOLD_SECONDS: Final = 0.5
_QUIET_SECONDS: Final = 2.0
"""Outside a terminal, a campaign that only advances is told this often."""
_STILL_SECONDS: Final = 60.0
"""And one that stands still this often: a quota is waited for until tomorrow."""


def follow(
    post: Postroom,
    campaign_id: CampaignId,
    *,
    as_json: bool = False,
    loaded: Settings | None = None,
    each: Callable[[], None] = lambda: None,
) -> Status:
    """Show a campaign until it is over; return how it ended. `each` runs at every look."""
    console = notes()
    with closing(Quota(campaign_id, loaded)) as quota:
        if as_json:
            statuses = _each(post.watch(campaign_id, _TOLD_SECONDS), each)
            return _told(statuses, lambda status: say_json(status_record(status)))
        if console.is_terminal:
            return _drawn(_each(post.watch(campaign_id, _DRAWN_SECONDS), each), quota)
        statuses = _each(post.watch(campaign_id, _TOLD_SECONDS), each)
        return _told(statuses, lambda status: console.print(view.line(status, quota.left())))


def watched(post: Postroom, campaign_id: CampaignId, *, as_json: bool) -> int:
    """Follow a campaign; return 0 when it finished and somebody was mailed, or nobody was due.

    Ctrl-C ends only the look.
    """
    try:
        ended = follow(post, campaign_id, as_json=as_json)
    except KeyboardInterrupt:
        if (console := notes()).is_terminal:
            console.print("no longer watched; the campaign goes on", style="dim")
        raise
    if ended.totals.invalid:
        notes().print(f"the bad rows: postroom report {campaign_id} --bad-rows", style="dim")
    return 0 if ended.state is State.FINISHED and not view.in_vain(ended) else 1


def _each(statuses: Iterable[Status], each: Callable[[], None]) -> Iterable[Status]:
    for status in statuses:
        each()
        yield status


def _drawn(statuses: Iterable[Status], quota: Quota) -> Status:
    last = None
    with Live(console=notes(soft_wrap=False), auto_refresh=False) as live:
        for last in statuses:
            live.update(view.block(last, quota.left()), refresh=True)
    return _known(last)


def _told(statuses: Iterable[Status], tell: Callable[[Status], None]) -> Status:
    last: Status | None = None
    told: Status | None = None
    told_at = 0.0
    for last in statuses:
        if told is None or clock.now() - told_at >= patience(last, told):
            tell(last)
            told, told_at = last, clock.now()
    if last is not None and last is not told:
        tell(last)
    return _known(last)


def patience(now: Status, told: Status) -> float:
    """Return the seconds after which a log is told of `now`, when it was told of `told`."""
    if now.state is not told.state:
        return 0.0
    if now.totals != told.totals:
        return _QUIET_SECONDS
    # A reason that counts down is no other reason.
    same = _DIGITS.sub("", now.reason) == _DIGITS.sub("", told.reason)
    return _STILL_SECONDS if same else 0.0


def _known(last: Status | None) -> Status:
    if last is None:
        raise PostroomError("the campaign told nothing")
    return last
