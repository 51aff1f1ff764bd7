"""`postroom suppress add|remove|list`: addresses that are never mailed."""

from typing import Annotated

import typer

from postroom.cli.console import AsJson, notes, say, say_json
from postroom.cli.flags import Command, Group
from postroom.cli.session import opened
from postroom.cli.wording import printable
from postroom.errors import RefusedError

suppress = typer.Typer(name="suppress", cls=Group, help="Addresses that are never mailed.")

Address = Annotated[str, typer.Argument(metavar="ADDRESS", show_default=False)]


@suppress.command(cls=Command)
def add(
    address: Address,
    reason: Annotated[str, typer.Option(help="Why; shown in the list.")] = "added by hand",
    *,
    as_json: AsJson = False,
) -> None:
    """Never mail an address again."""
    with opened() as post:
        post.suppress(address, reason)
    _tell(address, suppressed=True, as_json=as_json)


@suppress.command(cls=Command)
def remove(address: Address, *, as_json: AsJson = False) -> None:
    """Take an address off the list."""
    with opened() as post:
        if not post.unsuppress(address):
            raise RefusedError(f"{address} is not on the list")
    _tell(address, suppressed=False, as_json=as_json)


@suppress.command("list", cls=Command)
def listed(*, as_json: AsJson = False) -> None:
    """Write every suppressed address and why to stdout, separated by a tab."""
    with opened() as post:
        for address, reason in post.suppressed():
            if as_json:
                say_json({"address": address, "reason": reason})
            else:
                say(f"{address}\t{reason}")


def _tell(address: str, *, suppressed: bool, as_json: bool) -> None:
    if as_json:
        say_json({"address": address, "suppressed": suppressed})
    elif suppressed:
        notes().print(f"{printable(address)} is never mailed again")
    else:
        notes().print(f"{printable(address)} may be mailed again")
