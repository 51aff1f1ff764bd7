"""`postroom rebind`: let a campaign go by what its sender means now."""

from typing import Annotated

import typer
from rich.text import Text

from postroom.cli.console import AsJson, notes, say_json, tables
from postroom.cli.flags import By
from postroom.cli.session import opened
from postroom.cli.wording import printable
from postroom.dispatch.rebinding import Rebinding
from postroom.model import CampaignId


def rebind(
    campaign: Annotated[str, typer.Argument(metavar="ID", help="The campaign.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else it is only shown.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Show what a campaign's sender meant when it was split, and what now; --yes binds it anew."""
    one = CampaignId(campaign)
    with opened() as post:
        proposed = post.binding(one)
        if yes:
            post.rebind(one, proposed, by=by)
    if as_json:
        say_json(_record(proposed, done=yes))
        return
    _show(proposed)
    if yes:
        notes().print(f"done; if it is halted for this: postroom resume {campaign}")
    elif proposed.old is None or proposed.changes:
        notes().print(f"to do it: postroom rebind {campaign} --yes")


def _record(proposed: Rebinding, *, done: bool) -> dict[str, object]:
    return {
        "sender": proposed.sender,
        "bound": proposed.old is not None,
        "changes": [{"what": one.word, "old": one.old, "new": one.new} for one in proposed.changes],
        "rebound": done,
    }


def _show(proposed: Rebinding) -> None:
    out = tables(soft_wrap=True)
    if proposed.old is None:
        out.print(f"{proposed.sender} is not bound: any worker may send; now it would be bound to")
        out.print(f"  From {printable(proposed.new.from_)}, Region {proposed.new.region}")
    elif not proposed.changes:
        out.print(f"{proposed.sender} means the same as when the campaign was split")
        out.print("  (as the producers have it: start them with the new settings first)")
    for one in proposed.changes:
        out.print(
            Text(f"{one.word}: ", style="bold"),
            f"{printable(one.old)} -> {printable(one.new)}",
        )
