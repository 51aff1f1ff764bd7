"""`postroom log`: what happened to a campaign or an account, when, by whom and why."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from postroom.cli.console import AsJson, notes, say_json, tables
from postroom.cli.session import opened
from postroom.cli.wording import count, moment, printable
from postroom.errors import BadInputError
from postroom.store.event_log import LogEntry
from postroom.views.records import log_record


def log(
    campaign: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The campaign.", show_default=False)
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="That of an account instead.", show_default=False),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Tell what happened to a campaign and its account, when, by whom and why."""
    with opened() as post:
        if campaign and not account:
            found = post.log(campaign)
        elif account and not campaign:
            found = post.account_log(account)
        else:
            raise BadInputError("log: name a campaign, or an account with --account")
    if as_json:
        say_json([log_record(one) for one in found])
    elif found:
        tables().print(_table(found))
    else:
        notes().print("nothing happened yet")


def _table(found: Sequence[LogEntry]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("when", "what", "by", "why"):
        table.add_column(column, overflow="fold")
    for one in found:
        what = f"account {one.account} {one.event}" if one.account else one.event
        often = f" ({count(one.count)} times, until {moment(one.last_at)})" * (one.count > 1)
        table.add_row(moment(one.at), what + often, printable(one.by), printable(one.detail))
    return table
