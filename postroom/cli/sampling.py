"""A look at the first rows of a recipients' file: would each of them make a mail?"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from postroom.content.template import Templates, UnrenderableError
from postroom.intake.look import Numbered
from postroom.model import Campaign, Recipient

ROWS: Final = 100


class Sample(NamedTuple):
    """How many rows were looked at, and of which of them no mail can be made, and why."""

    looked_at: int
    bad: tuple[tuple[int, str], ...]


def sample(rows: Iterable[Numbered], campaign: Campaign) -> Sample:
    """Render some rows; one that could not even be read is no matter of the templates."""
    good = [(number, found) for number, found in rows if isinstance(found, Recipient)]
    return Sample(len(good), tuple(_faults(good, Templates(campaign))))


def _faults(
    rows: Iterable[tuple[int, Recipient]], templates: Templates
) -> Iterator[tuple[int, str]]:
    for number, found in rows:
        try:
            templates.message(templates.values(found))
        except UnrenderableError as error:
            yield number, str(error)
