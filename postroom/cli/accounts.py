"""`postroom account list|show|pause|resume`: what each account may send, and what holds it."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from postroom.cli.console import AsJson, notes, say_json, tables
from postroom.cli.flags import By, Command, Group
from postroom.cli.session import opened
from postroom.cli.wording import count, moment, printable, rate
from postroom.dispatch.accounts import AccountStatus
from postroom.model import AccountName
from postroom.views.records import account_record

account = typer.Typer(
    name="account", cls=Group, help="What an account may send, and what holds it."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account.", show_default=False)]

_STYLES: Final = {"halted": "bold red", "paused": "bold yellow", "waiting": "bold yellow"}


@account.command("list", cls=Command)
def listed(*, as_json: AsJson = False) -> None:
    """List every account."""
    with opened() as post:
        found = post.accounts()
    if as_json:
        say_json([account_record(one) for one in found])
    elif found:
        tables().print(_table(found))
    else:
        notes().print("no accounts yet")


@account.command(cls=Command)
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show what an account may send, and what holds it."""
    with opened() as post:
        _show(post.account(AccountName(name)), as_json=as_json)


@account.command(cls=Command)
def pause(name: Name, *, by: By = None, as_json: AsJson = False) -> None:
    """Stop all that is sent on an account until `postroom account resume`."""
    with opened() as post:
        post.pause_account(AccountName(name), by=by)
        _show(post.account(AccountName(name)), as_json=as_json)


@account.command(cls=Command)
def resume(name: Name, *, by: By = None, as_json: AsJson = False) -> None:
    """Let all campaigns and messages of an account go on, once what halted it is mended."""
    with opened() as post:
        post.resume_account(AccountName(name), by=by)
        _show(post.account(AccountName(name)), as_json=as_json)


def _show(found: AccountStatus, *, as_json: bool) -> None:
    if as_json:
        say_json(account_record(found))
    else:
        tables().print(_table([found]))


def _table(found: Sequence[AccountStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("account", "state", "rate", "at once", "quota used", "waiting", "why"):
        table.add_column(column, overflow="fold")
    for one in found:
        state = _state(one)
        table.add_row(
            one.name,
            Text(state, style=_STYLES.get(state, "bold green")),
            _rate(one),
            _at_once(one),
            _quota(one),
            count(one.waiting),
            Text(printable(_why(one))),
        )
    return table


def _state(one: AccountStatus) -> str:
    if one.halted:
        return "halted"
    if one.paused:
        return "paused"
    return "waiting" if one.holds or one.rate is None else "open"


def _rate(one: AccountStatus) -> str:
    if one.rate is None or one.max_send_rate is None:
        return "unknown"
    of = "" if one.rate == one.max_send_rate else f" of {rate(one.max_send_rate)}"
    return rate(one.rate) + of


def _at_once(one: AccountStatus) -> str:
    if one.rate is None or one.burst_seconds is None:
        return "unknown"
    return f"{count(max(1, int(one.rate * one.burst_seconds)))} in {one.burst_seconds:.2f} s"


def _quota(one: AccountStatus) -> str:
    used = count(one.used + one.foreign)
    return used if one.quota is None else f"{used} of {count(one.quota)}"


def _why(one: AccountStatus) -> str:
    if one.halted or one.paused:
        return one.halted or "by a person"
    shared = [f"one budget with {', '.join(one.shares_with)}"] if one.shares_with else []
    held = [f"{hold.lane}: {hold.reason}, until {moment(hold.until)}" for hold in one.holds]
    return "; ".join([*held, *shared])
