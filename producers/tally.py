"""What a split counts beside the recipients: bad rows, and the first thousand of them by number."""

from collections.abc import Sequence
from typing import Final

from postroom.model import BadRow
from postroom.store.split import Counts

NOTED_ROWS: Final = 1_000


class Tally:
    """Counts rows in the order of the source, so that it comes out the same every time."""

    def __init__(self, *, noted: int) -> None:
        """`noted`: how many notes an earlier producer has stored already."""
        self.counts = Counts()
        self._skip = noted
        self._room = NOTED_ROWS
        self._notes: list[BadRow] = []
        self._warned = False

    def add(self, bad: Sequence[BadRow], last: int, *, not_utf8: int | None) -> None:
        """Enter the bad rows among those up to row `last`, and where the encoding changed."""
        found = list(bad)
        if not_utf8 is not None and not self._warned and not_utf8 <= last:
            self._warned = True
            found.append(
                BadRow(row=not_utf8, kind="warning", reason="not UTF-8: read as Latin-1 from here")
            )
        counts = self.counts
        self.counts = Counts(
            invalid=counts.invalid + sum(row.kind == "invalid" for row in found),
            duplicate=counts.duplicate + sum(row.kind == "duplicate" for row in found),
            rows=max(counts.rows, last),
        )
        if self._room:
            self._note(sorted(found, key=lambda row: row.row))

    def take_notes(self) -> list[BadRow]:
        """Return the notes that are not stored yet, once."""
        notes, self._notes = self._notes, []
        return notes

    def _note(self, found: list[BadRow]) -> None:
        noted = found[: self._room]
        self._room -= len(noted)
        stored = min(self._skip, len(noted))
        self._skip -= stored
        self._notes += noted[stored:]
