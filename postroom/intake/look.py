"""A look at all recipients, with a producer's eyes, before anything is handed in."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from postroom.content.fields import Fields
from postroom.intake.lines import Lines
from postroom.intake.reading import read_rows
from postroom.intake.rows import Rows
from postroom.intake.sieve import Sieve
from postroom.intake.unpacking import unpacked
from postroom.model import BadRow, Recipient

NOTED_ROWS: Final = 1_000
"""So many bad rows are kept; all are counted."""

Numbered = tuple[int, Recipient | str]
"""A row by its number: its recipient, or why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """Who of a list can be mailed. Its sum is the rows that hold something."""

    good: int = 0
    invalid: int = 0
    duplicate: int = 0
    suppressed: int = 0
    noted: Sequence[BadRow] = ()
    """The first rows that are invalid or repeated."""
    warning: BadRow | None = None
    """Where the list is not UTF-8."""

    @property
    def first_invalid(self) -> BadRow | None:
        return next((row for row in self.noted if row.kind == "invalid"), None)


def look(
    chunks: Iterator[bytes],
    fields: Fields,
    *,
    email: str | None = None,
    suppressed: Callable[[Sequence[str]], Sequence[int]] = lambda _: (),
    each: Callable[[Sequence[BadRow]], object] = lambda _: None,
) -> Looked:
    """Read all recipients; `each` is given the bad rows in their order, some at a time.

    `suppressed` tells the positions of those who must not be mailed. Raises `BadInputError`,
    `UnreadableSourceError`.
    """
    sieve, noted, warning = Sieve(), list[BadRow](), None
    good = stopped = 0
    kinds = dict.fromkeys(("invalid", "duplicate", "warning"), 0)
    lines = Lines(unpacked(chunks))
    for recipients in map(sieve.sift, read_rows(lines, fields, quoting=True, email=email)):
        good += len(recipients.emails)
        stopped += len(suppressed(recipients.keys))
        for bad in recipients.bad:
            kinds[bad.kind] += 1
            warning = bad if bad.kind == "warning" else warning
        noted += [bad for bad in recipients.bad if bad.kind != "warning"]
        del noted[NOTED_ROWS:]
        each(recipients.bad)
    return Looked(
        good=good - stopped,
        suppressed=stopped,
        invalid=kinds["invalid"],
        duplicate=kinds["duplicate"],
        noted=noted,
        warning=warning,
    )


def rows_of(chunks: Iterator[bytes], fields: Fields, *, email: str | None) -> Iterator[Numbered]:
    """Yield single rows, as they come. Raises as `look` does."""
    for rows in read_rows(Lines(unpacked(chunks)), fields, quoting=True, email=email):
        yield from sorted(_singly(rows), key=lambda row: row[0])


def first_rows(
    chunks: Iterator[bytes], fields: Fields, count: int, *, email: str | None
) -> list[Numbered]:
    return list(islice(rows_of(chunks, fields, email=email), count))


def _singly(rows: Rows) -> Iterator[Numbered]:
    names, columns = list(rows.fields), list(rows.fields.values())
    for at, number in enumerate(rows.numbers):
        given = ((name, column[at]) for name, column in zip(names, columns, strict=True))
        fields = {name: value for name, value in given if value is not None}
        yield number, Recipient(rows.emails[at].strip(), fields)
    yield from ((bad.row, bad.reason) for bad in rows.bad if bad.kind != "warning")
