"""Follow one campaign until it is over: a living block in a terminal, else a line now and then."""

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Final

from rich.console import Console
from rich.live import Live

from postroom import clock
from postroom.cli import view
from postroom.cli.console import notes, say_json
from postroom.cli.session import Quota
from postroom.client import Postroom
from postroom.errors import PostroomError
from postroom.model import CampaignId, State, Status
from postroom.records import status_record
from postroom.settings import Settings

_DRAWN_SECONDS: Final = 0.2
_TOLD_SECONDS: Final = 0.5
_QUIET_SECONDS: Final = 2.0
"""Outside a terminal, a campaign that only advances is told this often."""


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
            return _drawn(_each(post.watch(campaign_id, _DRAWN_SECONDS), each), console, quota)
        statuses = _each(post.watch(campaign_id, _TOLD_SECONDS), each)
        return _told(statuses, lambda status: console.print(view.line(status, quota.left())))


def exit_code(status: Status) -> int:
    """0 when the campaign did what was asked of it."""
    return 0 if status.state is State.FINISHED else 1


def _each(statuses: Iterable[Status], each: Callable[[], None]) -> Iterable[Status]:
    for status in statuses:
        each()
        yield status


def _drawn(statuses: Iterable[Status], console: Console, quota: Quota) -> Status:
    last = None
    with Live(console=console, auto_refresh=False) as live:
        for last in statuses:
            live.update(view.block(last, quota.left()), refresh=True)
    return _known(last)


def _told(statuses: Iterable[Status], tell: Callable[[Status], None]) -> Status:
    last: Status | None = None
    told: Status | None = None
    told_at = 0.0
    for last in statuses:
        turned = told is None or (last.state, last.reason) != (told.state, told.reason)
        if turned or clock.now() - told_at >= _QUIET_SECONDS:
            tell(last)
            told, told_at = last, clock.now()
    if last is not None and last is not told:
        tell(last)
    return _known(last)


def _known(last: Status | None) -> Status:
    if last is None:
        raise PostroomError("the campaign told nothing")
    return last
