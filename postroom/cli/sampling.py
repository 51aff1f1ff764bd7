"""A look at the first rows of a recipients' file: would each of them make a mail?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from postroom.address import sendable
from postroom.cli import rows
from postroom.errors import BadInputError
from postroom.model import Campaign, Recipient
from postroom.template import Templates, UnrenderableError, required_fields

ROWS: Final = 100


class Sample(NamedTuple):
    """How many rows were looked at, and what is wrong with which of them."""

    looked_at: int
    bad: tuple[tuple[int, str], ...]


def sample(path: Path, campaign: Campaign) -> Sample:
    """Check and render the first rows. Raises `BadInputError` for a file that cannot be read."""
    first = rows.sample(path, ROWS)
    return Sample(len(first), tuple(_faults(first, campaign)))


def _faults(
    first: list[tuple[int, Recipient | str]], campaign: Campaign
) -> Iterator[tuple[int, str]]:
    templates, required = Templates(campaign), required_fields(campaign)
    for number, found in first:
        try:
            _mail(found, templates, required)
        except (BadInputError, UnrenderableError) as error:
            yield number, str(error)


def _mail(found: Recipient | str, templates: Templates, required: frozenset[str]) -> None:
    if isinstance(found, str):
        raise BadInputError(found)
    address = sendable(found.email)
    if lacking := sorted(required - found.fields.keys()):
        raise BadInputError(f"no {lacking[0]!r}, which the templates use")
    templates.message(templates.values(Recipient(address, found.fields)))
