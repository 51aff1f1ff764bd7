"""Rows of a table."""

import csv
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Final

from postroom.content.fields import Fields
from postroom.errors import BadInputError
from postroom.intake.header import Header, check_header, header_of, start_of
from postroom.intake.lines import Lines
from postroom.intake.rows import Rows, invalid, not_utf8, size_of_run
from postroom.model import BadRow

_END: Final = "\x1eend of the table\x1e"
"""Behind the last line: within a cell, a quote was never closed."""

_Cells = list[str] | str
"""The cells of a row, or why there are none."""


def csv_rows(lines: Lines, fields: Fields, email: str | None, *, quoting: bool) -> Iterator[Rows]:
    text = lines.text()
    start = start_of(text, email=email)
    if start.empty:
        raise BadInputError("recipients: the file is empty; a header with `email` is needed")
    reader = csv.reader(chain(start.lines, text, [_END]), delimiter=start.delimiter)
    row, header = _header(reader, start.delimiter, email, quoting=quoting)
    check_header(header, fields, quoting=quoting)
    odd = _Odd(lines, start.skipped, quoting=quoting)
    while True:
        line = reader.line_num
        taken, irregular = _take(reader, size_of_run(lines, row), row + 1)
        if not taken:
            return
        first, row = row + 1, row + len(taken)
        bad = odd.found(taken, first, line, reader.line_num)
        numbers: Sequence[int] = range(first, row + 1)
        if irregular or lines.nul or not _all_good(taken, header):
            numbers, taken, worse = _regular(taken, first, header.width)
            bad += worse
        columns: list[Sequence[str]] = [*zip(*taken, strict=True)] if taken else [()] * header.width
        by_name: dict[str, Sequence[Any]] = {name: columns[at] for name, at in header.fields}
        yield Rows(numbers, columns[header.email], by_name, bad, row)


def _header(
    reader: Iterator[list[str]], delimiter: str, email: str | None, *, quoting: bool
) -> tuple[int, Header]:
    """Return which row it is, and what it says."""
    try:
        row, cells = next((at, cells) for at, cells in enumerate(reader, start=1) if cells)
    except csv.Error as error:
        raise BadInputError(f"recipients: the header cannot be read: {error}") from None
    if cells[-1].endswith(_END):
        raise BadInputError(f"recipients: a quote opened in row {row} is never closed")
    return row, header_of(cells, delimiter=delimiter, quoting=quoting, email=email)


def _take(reader: Iterator[list[str]], size: int, first: int) -> tuple[list[Any], bool]:
    """Read up to `size` rows from row `first` on, and tell whether one of them is none.

    One that csv cannot read ends the run, and stands in it as text.
    """
    rows: list[Any] = []
    try:
        # On an error, what was read before it stays in the list.
        rows.extend(islice(reader, size))
    except csv.Error as error:
        row = first + len(rows)
        rows.append(f"{error}; is a quote opened in row {row} and never closed?")
        return rows, True
    if not rows or not rows[-1] or not rows[-1][-1].endswith(_END):
        return rows, False
    last = rows.pop()
    if last == [_END]:
        return rows, False
    rows.append(_unclosed(last[-1].removesuffix(_END), first + len(rows)))
    return rows, True


def _unclosed(cell: str, row: int) -> str:
    swallowed = _breaks(cell) - cell.endswith(("\n", "\r"))
    lines = "line" if swallowed == 1 else f"{swallowed:,} lines"
    after = f"; it swallows the {lines} after it" if swallowed else ""
    return f"a quote opened in row {row} is never closed{after}"


def _breaks(cell: str) -> int:
    """Count the line ends in a cell."""
    return cell.count("\n") + cell.count("\r") - cell.count("\r\n")


class _Odd:
    """Tells once which row holds the first line that is not UTF-8."""

    def __init__(self, lines: Lines, skipped: int, *, quoting: bool) -> None:
        self._lines = lines
        self._skipped = skipped
        self._quoting = quoting
        self._told = False

    def found(self, taken: Sequence[_Cells], first: int, before: int, last: int) -> list[BadRow]:
        """Look for it in rows from `first` on, which lie behind line `before` up to line `last`."""
        odd = self._lines.odd
        if self._told or odd is None or odd.number - self._skipped > last:
            return []
        self._told = True
        row, line = first - 1, before
        for row, cells in enumerate(taken, start=first):  # noqa: B007 - the last one, else
            line += 1 + sum(map(_breaks, cells))
            if odd.number - self._skipped <= line:
                break
        # Before them stands the header alone.
        row = 1 if odd.number - self._skipped <= before else row
        return [not_utf8(row, odd.word, quoting=self._quoting)]


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
