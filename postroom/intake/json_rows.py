"""Rows of JSON Lines."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final

import msgspec

from postroom.errors import BadInputError
from postroom.intake.header import field_name
from postroom.intake.lines import Lines
from postroom.intake.rows import Rows, invalid, not_utf8, size_of_run
from postroom.model import BadRow

_MOST_FIELDS: Final = 1_000

_objects: Final = msgspec.json.Decoder(dict[str, Any])


def json_rows(lines: Lines, email: str | None, *, quoting: bool) -> Iterator[Rows]:
    raw, row, told = lines.raw(), 0, False
    while taken := list(islice(raw, size_of_run(lines, row))):
        first, row = row + 1, row + len(taken)
        bad: list[BadRow] = []
        numbers: Sequence[int] = range(first, row + 1)
        try:
            records = _objects.decode_lines(b"".join(taken))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            records = []
        if len(records) != len(taken):
            numbers, records, bad = _decoded_singly(lines, taken, first)
        if lines.odd and not told:
            told = True
            bad.append(not_utf8(lines.odd.number, lines.odd.word, quoting=quoting))
        yield _by_column(numbers, records, bad, row, email)


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
    email: str | None,
) -> Rows:
    emails = [record.pop("email", None) for record in records]
    if email not in {None, "email"}:
        emails = [record.pop(email, None) for record in records]
    by_name: dict[str, Sequence[Any]] = {}
    for name in _names(records):
        column: Sequence[Any] = [record.get(name) for record in records]
        held = by_name.get(field_name(name))
        by_name[field_name(name)] = column if held is None else _either(held, column)
    rows = Rows(numbers, emails, by_name, bad, last)
    return rows.without(
        {
            at: invalid(numbers[at], f"no address in `{email or 'email'}`")
            for at, one in enumerate(emails)
            if not isinstance(one, str)
        }
    )


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
