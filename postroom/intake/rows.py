"""Rows of CSV and JSON Lines, many at a time and by column: that is what makes intake fast."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress, islice
from operator import itemgetter
from typing import Any, Final

import msgspec

from postroom.errors import BadInputError
from postroom.intake.lines import Lines
from postroom.model import BadRow
from postroom.recipients import Format, Header, check_header, delimiter_of, field_name, header_of

_MOST_ROWS: Final = 4_000
_FEWEST_ROWS: Final = 16
_CHUNK_BYTES: Final = 4 << 20
_MOST_FIELDS: Final = 1_000


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


def read_rows(lines: Lines, required: frozenset[str]) -> Iterator[Rows]:
    """Yield all rows. Raises `BadInputError` when a header cannot be used."""
    if lines.format is Format.JSON_LINES:
        return _json_rows(lines, required)
    return _csv_rows(lines, required)


def invalid(row: int, reason: str) -> BadRow:
    return BadRow(row=row, kind="invalid", reason=reason)


def _size(lines: Lines, rows: int) -> int:
    """Return how many rows to take at a time: thousands of short ones, few of long ones."""
    average = lines.bytes / rows if rows else _CHUNK_BYTES / 1000
    return max(_FEWEST_ROWS, min(_MOST_ROWS, int(_CHUNK_BYTES / max(1, average))))


# --- CSV -----------------------------------------------------------------------------------

_Cells = list[str] | str
"""The cells of a row, or why there are none."""


def _csv_rows(lines: Lines, required: frozenset[str]) -> Iterator[Rows]:
    text = lines.text()
    start: list[str] = []
    for line in text:
        start.append(line)
        if line.strip():
            break
    else:
        raise BadInputError("recipients: the file is empty; a header with `email` is needed")
    delimiter = delimiter_of(start[-1])
    reader = csv.reader(chain(start, text), delimiter=delimiter)
    try:
        row, cells = next((at, cells) for at, cells in enumerate(reader, start=1) if cells)
    except csv.Error as error:
        raise BadInputError(f"recipients: the header cannot be read: {error}") from None
    header = header_of(cells, delimiter=delimiter, quoting=False)
    check_header(header, required, quoting=False)
    while True:
        taken, irregular = _take(reader, _size(lines, row))
        if not taken:
            return
        first, row = row + 1, row + len(taken)
        bad: list[BadRow] = []
        numbers: Sequence[int] = range(first, row + 1)
        if irregular or lines.nul or not _all_good(taken, header):
            numbers, taken, bad = _regular(taken, first, header.width)
        columns: list[Sequence[str]] = [*zip(*taken, strict=True)] if taken else [()] * header.width
        fields: dict[str, Sequence[Any]] = {name: columns[at] for name, at in header.fields}
        yield Rows(numbers, columns[header.email], fields, bad, row)


def _take(reader: Iterator[list[str]], size: int) -> tuple[list[Any], bool]:
    """Read up to `size` rows; one that csv cannot read ends the run, and stands in it as text."""
    rows: list[Any] = []
    try:
        # On an error, what was read before it stays in the list.
        rows.extend(islice(reader, size))
    except csv.Error as error:
        rows.append(f"{error}: is a quote never closed?")
        return rows, True
    return rows, False


def _all_good(rows: Sequence[list[str]], header: Header) -> bool:
    """Whether no row needs a closer look: all of one width, none that may be empty."""
    if set(map(len, rows)) != {header.width}:
        return False
    return all(map(str.strip, map(itemgetter(header.email), rows)))


def _regular(
    rows: Sequence[_Cells], first: int, width: int
) -> tuple[list[int], list[list[str]], list[BadRow]]:
    """Part good rows from bad ones; empty ones are neither."""
    numbers, good, bad = [], [], []
    for number, cells in enumerate(rows, start=first):
        if isinstance(cells, str):
            bad.append(invalid(number, cells))
        elif not "".join(cells).strip():
            continue
        elif len(cells) != width:
            bad.append(invalid(number, f"{len(cells)} cells, where the header has {width}"))
        elif any("\0" in cell for cell in cells):
            bad.append(invalid(number, "a NUL byte"))
        else:
            numbers.append(number)
            good.append(cells)
    return numbers, good, bad


# --- JSON Lines ----------------------------------------------------------------------------

_objects: Final = msgspec.json.Decoder(dict[str, Any])


def _json_rows(lines: Lines, required: frozenset[str]) -> Iterator[Rows]:
    raw, row = lines.raw(), 0
    while taken := list(islice(raw, _size(lines, row))):
        first, row = row + 1, row + len(taken)
        bad: list[BadRow] = []
        numbers: Sequence[int] = range(first, row + 1)
        try:
            records = _objects.decode_lines(b"".join(taken))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            records = []
        if len(records) != len(taken):
            numbers, records, bad = _decoded_singly(lines, taken, first)
        yield _by_column(numbers, records, bad, row, required)


def _decoded_singly(
    lines: Lines, taken: list[bytes], first: int
) -> tuple[list[int], list[dict[str, Any]], list[BadRow]]:
    numbers, records, bad = [], [], []
    for number, line in enumerate(taken, start=first):
        if not line.strip():
            continue
        try:
            records.append(_objects.decode(lines.as_utf8(line, number)))
            numbers.append(number)
        except msgspec.ValidationError:
            bad.append(invalid(number, "not a JSON object"))
        except msgspec.DecodeError as error:
            bad.append(invalid(number, f"not JSON: {error}"))
        except RecursionError:
            bad.append(invalid(number, "nested too deeply"))
    return numbers, records, bad


def _by_column(
    numbers: Sequence[int],
    records: list[dict[str, Any]],
    bad: list[BadRow],
    last: int,
    required: frozenset[str],
) -> Rows:
    emails = [record.pop("email", None) for record in records]
    fields: dict[str, Sequence[Any]] = {}
    for name in _names(records):
        column: Sequence[Any] = [record.get(name) for record in records]
        held = fields.get(field_name(name))
        fields[field_name(name)] = column if held is None else _either(held, column)
    rows = Rows(numbers, emails, fields, bad, last)
    found = {
        at: invalid(numbers[at], "no address in `email`")
        for at, email in enumerate(emails)
        if not isinstance(email, str)
    }
    for name in sorted(required):
        column = fields.get(name, [None] * len(records))
        if None in column:
            for at, value in enumerate(column):
                if value is None and at not in found:
                    found[at] = invalid(numbers[at], f"no {name!r}, which the templates use")
    return rows.without(found)


def _names(records: Sequence[dict[str, Any]]) -> list[str]:
    names = sorted(set(chain.from_iterable(records)))
    if len(names) > _MOST_FIELDS:
        # Each of them is a column: a few megabytes of rows would take all memory there is.
        raise BadInputError(
            f"recipients: more than {_MOST_FIELDS:,} different fields: is a value used as a name?"
        )
    return names


def _either(held: Sequence[Any], column: Sequence[Any]) -> list[Any]:
    """Two spellings of one name, `first name` and `first_name`: each row has one of them."""
    return [one if other is None else other for one, other in zip(held, column, strict=True)]
