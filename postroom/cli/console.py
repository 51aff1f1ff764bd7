"""Where output goes: data to stdout, all else to stderr. No colours outside a terminal."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import typer
from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Data as JSON on stdout.")]
"""The flag every command has."""

_PIPE_WIDTH: Final = 200
"""A table in a file is not cut at the eighty columns of no terminal."""


def notes(*, soft_wrap: bool = True) -> Console:
    """For people: progress, hints, what went wrong. Rich reads NO_COLOR and TERM itself.

    What is drawn again and again must know its height, so there rich does the wrapping.
    """
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)


def tables(*, soft_wrap: bool = False) -> Console:
    """For data that a person reads as a table, or as lines that the terminal wraps."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(
        file=sys.stdout,
        highlight=False,
        markup=False,
        emoji=False,
        width=width,
        soft_wrap=soft_wrap,
    )


def say(line: str) -> None:
    """Write one line of data."""
    sys.stdout.write(f"{line}\n")


def say_json(record: Mapping[str, object] | Sequence[Mapping[str, object]]) -> None:
    """Write one JSON document on one line, at once: somebody may be following."""
    say(json.dumps(record, ensure_ascii=False))
    sys.stdout.flush()
