"""`postroom suppress add|remove|list`: addresses that are never mailed."""

from typing import Annotated

import typer

from postroom.cli.console import AsJson, notes, say, say_json
from postroom.cli.session import opened
from postroom.errors import RefusedError

suppress = typer.Typer(
    name="suppress", help="Addresses that are never mailed.", no_args_is_help=True
)

Address = Annotated[str, typer.Argument(metavar="ADDRESS", show_default=False)]


@suppress.command()
def add(
    address: Address,
    reason: Annotated[str, typer.Option(help="Why; shown in the list.")] = "added by hand",
) -> None:
    """Never mail an address again."""
    with opened() as post:
        post.suppress(address, reason)
    notes().print("suppressed")


@suppress.command()
def remove(address: Address) -> None:
    """Take an address off the list."""
    with opened() as post:
        if not post.unsuppress(address):
            raise RefusedError(f"{address} is not on the list")
    notes().print("taken off the list")


@suppress.command("list")
def listed(*, as_json: AsJson = False) -> None:
    """Write every suppressed address and why to stdout, separated by a tab."""
    with opened() as post:
        for address, reason in post.suppressed():
            if as_json:
                say_json({"address": address, "reason": reason})
            else:
                say(f"{address}\t{reason}")
