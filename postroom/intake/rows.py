"""Rows that were read: by column, many at a time. That is what makes intake fast."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, Final

from postroom.intake.lines import Lines
from postroom.model import BadRow

_MOST_ROWS: Final = 4_000
_FEWEST_ROWS: Final = 16
_CHUNK_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that follow each other. None in a column: that row lacks the field."""

    numbers: Sequence[int]
    """Which rows of the file they are, the header being row 1."""
    emails: Sequence[str]
    fields: dict[str, Sequence[Any]]
    bad: list[BadRow]
    """Rows among them that could not be read."""
    last: int
    """Number of the last row read."""

    def without(self, bad: dict[int, BadRow]) -> "Rows":
        """Leave out the rows at these positions, and note why."""
        if not bad:
            return self
        keep = [at not in bad for at in range(len(self.emails))]
        return Rows(
            list(compress(self.numbers, keep)),
            list(compress(self.emails, keep)),
            {name: list(compress(column, keep)) for name, column in self.fields.items()},
            [*self.bad, *bad.values()],
            self.last,
        )


def invalid(row: int, reason: str) -> BadRow:
    return BadRow(row=row, kind="invalid", reason=reason)


def not_utf8(row: int, word: str, *, quoting: bool) -> BadRow:
    look = f"look at {word!r}" if quoting else "from here on"
    return BadRow(row=row, kind="warning", reason=f"not UTF-8, read as Windows-1252: {look}")


def size_of_run(lines: Lines, rows: int) -> int:
    """Return how many rows to take at a time: thousands of short ones, few of long ones."""
    average = lines.bytes / rows if rows else _CHUNK_BYTES / 1000
    return max(_FEWEST_ROWS, min(_MOST_ROWS, int(_CHUNK_BYTES / max(1, average))))
