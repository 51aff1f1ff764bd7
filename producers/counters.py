"""What a split counts beside the recipients: bad rows, and the first thousand of them by number."""

from collections.abc import Sequence
from typing import Final

from postroom.model import BadRow
from postroom.store.split import Counts

NOTED_ROWS: Final = 1_000


class Counters:
    """Counts rows in the order of the source, so that it comes out the same every time."""

    def __init__(self, *, noted: int) -> None:
        """`noted`: how many notes an earlier producer has stored already."""
        self.counts = Counts()
        self._skip = noted
        self._room = NOTED_ROWS
        self._notes: list[BadRow] = []
        self.first: BadRow | None = None
        """The first invalid row."""

    def add(self, found: Sequence[BadRow], last: int) -> None:
        """Enter the bad rows among those up to row `last`, in their order."""
        counts = self.counts
        if self.first is None:
            self.first = next((row for row in found if row.kind == "invalid"), None)
        self.counts = Counts(
            invalid=counts.invalid + sum(row.kind == "invalid" for row in found),
            duplicate=counts.duplicate + sum(row.kind == "duplicate" for row in found),
            rows=max(counts.rows, last),
        )
        if self._room:
            self._note(found)

    def take_notes(self) -> list[BadRow]:
        """Return the notes that are not stored yet, once."""
        notes, self._notes = self._notes, []
        return notes

    def _note(self, found: Sequence[BadRow]) -> None:
        noted = found[: self._room]
        self._room -= len(noted)
        stored = min(self._skip, len(noted))
        self._skip -= stored
        self._notes += noted[stored:]
