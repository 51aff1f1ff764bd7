"""`postroom status|watch|list|pause|resume|cancel`."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final

import typer

from postroom.cli import view
from postroom.cli.console import AsJson, notes, say, say_json, tables
from postroom.cli.flags import By
from postroom.cli.following import watched
from postroom.cli.overview import overview
from postroom.cli.session import Quota, opened
from postroom.client import Postroom
from postroom.model import CampaignId, State
from postroom.views.pace import over
from postroom.views.records import status_record

_MOMENTS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
Id = Annotated[str, typer.Argument(metavar="ID", help="The campaign.", show_default=False)]


def status(campaign: Id, *, as_json: AsJson = False) -> None:
    """Show how a campaign stands."""
    with opened() as post:
        _show(post, campaign, as_json=as_json)


def watch(campaign: Id, *, as_json: AsJson = False) -> int:
    """Show a campaign live until it is over. Ends with 1 unless it finished."""
    with opened() as post:
        return watched(post, CampaignId(campaign), as_json=as_json)


def campaigns(
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    state: Annotated[State | None, typer.Option(help="In this state.")] = None,
    name: Annotated[str | None, typer.Option(metavar="WORDS", help="Named so.")] = None,
    key: Annotated[str | None, typer.Option(help="The one that this key names.")] = None,
    after: Annotated[
        datetime | None, typer.Option(formats=_MOMENTS, metavar="DATE", help="Created since, UTC.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the newest campaigns, or those of them that are looked for."""
    since = after.replace(tzinfo=UTC) if after else None
    with opened() as post:
        found = post.list(limit, after=since, state=state, name=name, key=key)
    if as_json:
        say_json([status_record(one) for one in found])
    elif found:
        out = tables()
        out.print(overview(found, width=out.width))
    else:
        looked_for = any(one is not None for one in (state, name, key, after))
        notes().print("no such campaign" if looked_for else "no campaigns yet")


def pause(campaign: Id, *, by: By = None, as_json: AsJson = False) -> None:
    """Stop sending until `postroom resume`."""
    _steer(partial(Postroom.pause, by=by), campaign, as_json=as_json)


def resume(campaign: Id, *, by: By = None, as_json: AsJson = False) -> None:
    """Go on after a pause, or after a halt whose cause is mended."""
    _steer(partial(Postroom.resume, by=by), campaign, as_json=as_json)


def cancel(campaign: Id, *, by: By = None, as_json: AsJson = False) -> None:
    """Stop a campaign for good; what was not sent is `cancelled`."""
    _steer(partial(Postroom.cancel, by=by), campaign, as_json=as_json)


def _steer(act: Callable[[Postroom, CampaignId], None], campaign: str, *, as_json: bool) -> None:
    with opened() as post:
        act(post, CampaignId(campaign))
        _show(post, campaign, as_json=as_json)


def _show(post: Postroom, campaign: str, *, as_json: bool) -> None:
    found = post.status(CampaignId(campaign))
    if as_json:
        say_json(status_record(found))
        return
    with closing(Quota(found.id)) as quota:
        left = "" if over(found) else quota.left()
    if tables().is_terminal:
        tables().print(view.block(found, left))
    else:
        say(f"{found.id} · {view.line(found, left)}")
