"""Puts whole lists on the suppression list, as one has them from another provider."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from postroom.content.address import normal, sendable
from postroom.errors import BadInputError
from postroom.model import BadRow
from postroom.store.suppression import Suppression

_AT_ONCE: Final = 2_000
"""Redis answers others in between: one step of so many holds it for some milliseconds."""


def suppress_many(suppression: Suppression, addresses: Iterable[str], reason: str) -> list[BadRow]:
    """Add everything that is an address; return what is none, counted from 1.

    Raises `BadInputError` for a single text, whose letters are no addresses. Safe to repeat.
    """
    if isinstance(addresses, str):
        raise BadInputError("addresses: a text, where a list of addresses is due")
    bad: list[BadRow] = []
    good = _normal(addresses, bad)
    while some := list(islice(good, _AT_ONCE)):
        suppression.add_many(some, reason)
    return bad


def _normal(addresses: Iterable[str], bad: list[BadRow]) -> Iterator[str]:
    for number, address in enumerate(addresses, start=1):
        try:
            yield normal(sendable(address))
        except BadInputError as error:
            bad.append(BadRow(row=number, kind="invalid", reason=str(error)))
