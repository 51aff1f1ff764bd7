"""`postroom suppress add|remove|list`: addresses that are never mailed."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from postroom.cli.console import AsJson, notes, say, say_json
from postroom.cli.flags import Command, Group
from postroom.cli.session import opened
from postroom.cli.wording import many, printable
from postroom.errors import BadInputError, RefusedError
from postroom.intake.encoding import UTF8_BOM, decoded

suppress = typer.Typer(name="suppress", cls=Group, help="Addresses that are never mailed.")

_SHOWN: Final = 10

Address = Annotated[str, typer.Argument(metavar="ADDRESS", show_default=False)]


@suppress.command(cls=Command)
def add(
    addresses: Annotated[
        list[str] | None, typer.Argument(metavar="[ADDRESS]...", show_default=False)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", allow_dash=True, help="One address a line; - is stdin."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; shown in the list.")] = "added by hand",
    *,
    as_json: AsJson = False,
) -> int:
    """Never mail these addresses again. Lines that are no address are named; ends with 1 then."""
    given = addresses or []
    if file is None and len(given) == 1:
        with opened() as post:
            post.suppress(given[0], reason)
        _tell(given[0], suppressed=True, as_json=as_json)
        return 0
    if bool(given) is (file is not None):
        raise BadInputError("suppress add: give addresses, or --file FILE")
    return _add_many(_lines(file) if file else given, reason, as_json=as_json)


def _add_many(addresses: list[str], reason: str, *, as_json: bool) -> int:
    with opened() as post:
        found = post.suppress_many(addresses, reason)
    bad = [one for one in found if addresses[one.row - 1].strip()]  # A blank line is nothing.
    number = len(addresses) - len(found)
    if as_json:
        skipped = [{"row": one.row, "reason": one.reason} for one in bad]
        say_json({"suppressed": number, "skipped": skipped})
    else:
        for one in bad[:_SHOWN]:
            notes().print(f"{one.row}: {one.reason}")
        more = f"; {many(len(bad), 'line')} left out" if bad else ""
        them = many(number, "address", "addresses")
        notes().print(f"{them} {'is' if number == 1 else 'are'} never mailed again{more}")
    return 1 if bad else 0


def _lines(path: Path) -> list[str]:
    """Return the lines of a file as they are numbered, without blank ones at the end."""
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from None
    return decoded(raw.removeprefix(UTF8_BOM)).rstrip().splitlines()


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
