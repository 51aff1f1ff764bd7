"""All rows of a source, and who of them lacks what the templates need."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from postroom.content.fields import Fields, is_blank
from postroom.intake.csv_rows import csv_rows
from postroom.intake.form import Format
from postroom.intake.json_rows import json_rows
from postroom.intake.lines import Lines
from postroom.intake.rows import Rows, invalid
from postroom.model import BadRow


def read_rows(
    lines: Lines, fields: Fields, *, quoting: bool = False, email: str | None = None
) -> Iterator[Rows]:
    """Yield all rows; `email` names the column of the addresses, None being `email`.

    Unless `quoting`, no reason repeats anything of the source. Raises `BadInputError` when a
    header cannot be used.
    """
    if lines.format is Format.JSON_LINES:
        found = json_rows(lines, email, quoting=quoting)
    else:
        found = csv_rows(lines, fields, email, quoting=quoting)
    return (_filled(rows, fields) for rows in found)


def _filled(rows: Rows, fields: Fields) -> Rows:
    """Make what is blank lacking, and leave out the rows that lack what the templates need."""
    columns = dict(rows.fields)
    for name in fields.blank_lacks & columns.keys():
        columns[name] = _without_blanks(columns[name])
    wrong: dict[int, BadRow] = {}
    for name in sorted(fields.required):
        column = columns.get(name)
        lacking = range(len(rows.emails)) if column is None else _lacking(column)
        for at in lacking:
            if at not in wrong:
                blank = name in rows.fields and is_blank(rows.fields[name][at])
                wrong[at] = invalid(rows.numbers[at], _REASONS[blank].format(name))
    return Rows(rows.numbers, rows.emails, columns, rows.bad, rows.last).without(wrong)


_REASONS: Final = (
    "no {!r}, which the templates use",
    "{!r} is blank, which the templates use: [defaults] or keep_blank may allow it",
)


def _lacking(column: Sequence[Any]) -> Sequence[int]:
    return [at for at, value in enumerate(column) if value is None] if None in column else ()


def _without_blanks(column: Sequence[Any]) -> Sequence[Any]:
    try:
        if all(map(str.strip, column)):
            return column
    except TypeError:
        pass  # JSON: not all of it is text.
    return [None if is_blank(value) else value for value in column]
