"""Every command in one place, and what typer itself has to complain about."""

from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from postroom import __version__
from postroom.cli import (
    accounts,
    checking,
    local,
    logbook,
    mending,
    processes,
    rebinding,
    rendering,
    reporting,
    steering,
    submitting,
    suppressing,
)
from postroom.cli.console import say
from postroom.cli.flags import Command, Group
from postroom.errors import BadInputError, PostroomError

app = typer.Typer(
    name="postroom",
    cls=Group,
    help="Send email campaigns through Amazon SES: nobody twice, nobody lost.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_CAMPAIGNS = "Campaigns"
_BEFORE = "Before sending"
_TROUBLE = "When something is wrong"
_LOCAL = "On this machine"

app.command(cls=Command, rich_help_panel=_BEFORE)(checking.check)
app.command(cls=Command, rich_help_panel=_BEFORE)(rendering.render)
app.add_typer(suppressing.suppress, rich_help_panel=_BEFORE)
app.command(cls=Command, rich_help_panel=_CAMPAIGNS)(submitting.submit)
app.command(cls=Command, rich_help_panel=_CAMPAIGNS)(steering.status)
app.command(cls=Command, rich_help_panel=_CAMPAIGNS)(steering.watch)
app.command("list", cls=Command, rich_help_panel=_CAMPAIGNS)(steering.campaigns)
app.command(cls=Command, rich_help_panel=_CAMPAIGNS)(steering.pause)
app.command(cls=Command, rich_help_panel=_CAMPAIGNS)(steering.resume)
app.command(cls=Command, rich_help_panel=_CAMPAIGNS)(steering.cancel)
app.command(cls=Command, rich_help_panel=_CAMPAIGNS)(reporting.report)
app.command(cls=Command, rich_help_panel=_CAMPAIGNS)(logbook.log)
app.command(cls=Command, rich_help_panel=_TROUBLE)(mending.retry)
app.command(cls=Command, rich_help_panel=_TROUBLE)(mending.doctor)
app.command(cls=Command, rich_help_panel=_TROUBLE)(rebinding.rebind)
app.command(cls=Command, rich_help_panel=_TROUBLE)(processes.ps)
app.add_typer(accounts.account, rich_help_panel=_TROUBLE)
app.command(cls=Command, rich_help_panel=_LOCAL)(local.up)
app.command(cls=Command, rich_help_panel=_LOCAL)(local.demo)


def _said_version(*, wanted: bool) -> None:
    if wanted:
        say(f"postroom {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda wanted: _said_version(wanted=wanted),
            help="Say the version and end.",
        ),
    ] = False,
) -> None:
    """Send email campaigns through Amazon SES: nobody twice, nobody lost."""


def invoke(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code. Raises our own errors only."""
    given = list(arguments) or ["--help"]
    try:
        code = app(given, prog_name="postroom", standalone_mode=False)
    except TyperException as error:
        raise _ours(error) from None
    except typer.Abort:
        raise KeyboardInterrupt from None
    return code if isinstance(code, int) else 0


def _ours(error: TyperException) -> PostroomError:
    line = " ".join(error.format_message().replace("Value error, ", "").split())
    context = getattr(error, "ctx", None)
    hint = f" ({context.command_path} --help)" if context else ""
    return BadInputError(f"{line}{hint}")
