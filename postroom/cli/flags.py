"""Flags take no value, and the help must not read as if they did."""

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

By = Annotated[
    str | None,
    typer.Option(
        metavar="WHO", help="Who does it, for the log (default: user@host).", show_default=False
    ),
]
"""The option of every command that steers."""


class Command(TyperCommand):
    """A command whose flags stand in its help without `<bool>`."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _bare(super().get_params(ctx))


class Group(TyperGroup):
    """The same for a command with commands of its own."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _bare(super().get_params(ctx))


def _bare(parameters: list[Any]) -> list[Any]:
    for one in parameters:
        if getattr(one, "is_flag", False):
            one.metavar = ""
    return parameters
