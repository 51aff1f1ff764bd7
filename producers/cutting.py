"""Recipients cut into batches.

Knows nothing of Redis. What comes out depends on the source alone, never on how its bytes were
cut or on when it was read: so a producer that goes on finds the same batches again.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from postroom import wire
from postroom.intake.sieve import SiftedRecipients
from postroom.model import Outcome

_PENDING: Final = wire.LEDGER[Outcome.PENDING]
_SUPPRESSED: Final = wire.LEDGER[Outcome.SUPPRESSED][0]


class SourceDigest:
    """Marks addresses in their order, so that another source is told from the same one."""

    def __init__(self) -> None:
        self._hash: Final = blake2b(digest_size=16)

    def add(self, emails: Sequence[str]) -> str:
        """Go on with these; returns the mark of all so far."""
        self._hash.update("".join(f"{email}\n" for email in emails).encode())
        return self._hash.hexdigest()


class CutBatch(NamedTuple):
    """One batch, ready to be stored."""

    encoded: bytes
    states: bytes
    """A ledger byte for each of its recipients."""
    digest: str
    """Marks all addresses up to its last."""


class Cutter:
    """Holds recipients until there are enough for a batch."""

    def __init__(self, batch_size: int, digest: SourceDigest) -> None:
        self._size: Final = batch_size
        self._digest: Final = digest
        self._emails: list[str] = []
        self._states = bytearray()
        self._fields: dict[str, list[Any]] = {}

    def add(self, recipients: SiftedRecipients, suppressed: Sequence[int]) -> None:
        held = len(self._emails)
        self._emails += recipients.emails
        states = bytearray(_PENDING * len(recipients.emails))
        for at in suppressed:
            states[at] = _SUPPRESSED
        self._states += states
        for name, column in recipients.fields.items():
            self._fields.setdefault(name, [None] * held).extend(column)
        for name in self._fields.keys() - recipients.fields.keys():
            self._fields[name] += [None] * len(recipients.emails)

    def full(self) -> Iterator[CutBatch]:
        """Yield each full batch."""
        whole = len(self._emails) // self._size * self._size
        for start in range(0, whole, self._size):
            yield self._batch(start, start + self._size)
        self._drop(whole)

    def rest(self) -> Iterator[CutBatch]:
        """Yield the last batch, unless it is empty."""
        if self._emails:
            yield self._batch(0, len(self._emails))
            self._drop(len(self._emails))

    def _batch(self, start: int, end: int) -> CutBatch:
        emails = self._emails[start:end]
        names, columns, holes = [], [emails], {}
        for name, held in self._fields.items():
            column = held[start:end]
            if not _any_value(column):
                continue
            if None in column:
                holes[name] = [at for at, value in enumerate(column) if value is None]
            names.append(name)
            columns.append(column)
        encoded = wire.encode_columns(names, columns, holes)
        return CutBatch(encoded, bytes(self._states[start:end]), self._digest.add(emails))

    def _drop(self, count: int) -> None:
        del self._emails[:count]
        del self._states[:count]
        rest = {name: column[count:] for name, column in self._fields.items()}
        # A field that nobody in hand has is forgotten: JSON rows may each bring their own.
        self._fields = {name: column for name, column in rest.items() if _any_value(column)}


def _any_value(column: list[Any]) -> bool:
    return column.count(None) < len(column)
