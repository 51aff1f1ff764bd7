"""`postroom status|watch|list|pause|resume|cancel`."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from postroom.cli import view
from postroom.cli.console import AsJson, notes, say, say_json, tables
from postroom.cli.flags import By
from postroom.cli.following import watched
from postroom.cli.overview import overview
from postroom.cli.session import Quota, opened
from postroom.client import Postroom
from postroom.errors import BadInputError
from postroom.model import CampaignId, State
from postroom.views.pace import over
from postroom.views.records import status_record

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
        str | None, typer.Option(metavar="DATE", help="Created since; UTC without an offset.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the newest campaigns, or those of them that are looked for."""
    since = _since(after) if after else None
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


def _since(given: str) -> datetime:
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        raise BadInputError(
            f"--after {given!r}: write 2026-12-24, 2026-12-24T18:00 or 2026-12-24T18:00+01:00"
        ) from None
    return found if found.utcoffset() is not None else found.replace(tzinfo=UTC)


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
