"""The header of a table: its separator, its columns, and which of them is the address."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, NamedTuple

from postroom.content.fields import Fields
from postroom.errors import BadInputError

DELIMITERS: Final = (",", ";", "\t", "|")
_EMAIL: Final = frozenset({"email", "e_mail"})
_SEPARATOR: Final = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_SHOWN: Final = 200
_MOST_NAMES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The columns of a CSV file."""

    delimiter: str
    width: int
    """How many cells a row has."""
    email: int
    """Which of them is the address."""
    fields: tuple[tuple[str, int], ...]
    """Each merge field and which cell it is; a column without a name is none."""


class Start(NamedTuple):
    """The lines of a table to its first one that holds something, and what separates its cells."""

    lines: list[str]
    delimiter: str
    skipped: int
    """Lines before them that are no rows: Excel's `sep=;`, which it does not show either."""

    @property
    def empty(self) -> bool:
        return not self.lines or not self.lines[-1].strip()


def start_of(text: Iterable[str], *, email: str | None = None) -> Start:
    """Read a table to its header line."""
    lines: list[str] = []
    said = None
    for line in text:
        if said is None and not lines and (said := _SEPARATOR.fullmatch(line)):
            continue
        lines.append(line)
        if line.strip():
            break
    header = lines[-1] if lines else ""
    delimiter = said[1] if said else delimiter_of(header, email=email)
    return Start(lines, delimiter, skipped=1 if said else 0)


def delimiter_of(line: str, *, email: str | None = None) -> str:
    """Tell what separates the cells of a header line: comma, semicolon, tab or bar."""
    for delimiter in DELIMITERS:
        cells = cells_of(line, delimiter=delimiter)
        if any(is_email(field_name(cell), email) for cell in cells):
            return delimiter
    return max(DELIMITERS, key=line.count)


def cells_of(line: str, *, delimiter: str) -> list[str]:
    """Cut a header line. Raises `BadInputError`."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise BadInputError(f"recipients: the header cannot be read: {error}") from None


def header_of(
    cells: list[str], *, delimiter: str, quoting: bool = True, email: str | None = None
) -> Header:
    """Read the cells of a header line, `email` being the name of the address's column.

    Raises `BadInputError`. Unless `quoting`, the error repeats nothing of them: whoever names a
    file for a producer to read need not be one who may read it.
    """
    names = [field_name(cell) for cell in cells]
    emails = [at for at, name in enumerate(names) if is_email(name, email)]
    if not emails:
        found = _found(cells) if quoting else ""
        raise BadInputError(f"recipients: no column `{email or 'email'}` in the header{found}")
    seen: dict[tuple[bool, str], int] = {}
    for at, name in enumerate(names):
        same = (at in emails, "email" if at in emails else name)
        if same in seen:
            named = f": {same[1]!r}" if quoting else ""
            raise BadInputError(
                f"recipients: column {at + 1} of the header has the name of "
                f"column {seen[same] + 1}{named}"
            )
        if name:
            seen[same] = at
    fields = tuple(
        (name, at) for (own, name), at in seen.items() if not own and name.lower() not in _EMAIL
    )
    return Header(delimiter=delimiter, width=len(cells), email=emails[0], fields=fields)


def check_header(header: Header, fields: Fields, *, quoting: bool = True) -> None:
    """Raise `BadInputError` when the templates need a field that no column has.

    One that is nearly a column is the templates' fault, any other the file's.
    """
    names = [name for name, _ in header.fields]
    if not (lacking := sorted(fields.required - set(names))):
        return
    first = lacking[0]
    near = get_close_matches(first, names[:_MOST_NAMES], n=1) if quoting else []
    if near:
        where = fields.where.get(first, "templates")
        raise BadInputError(f"{where}: no column {first}; did you mean {near[0]}?")
    there = f"; the columns are {', '.join(['email', *names])[:_SHOWN]}" if quoting else ""
    raise BadInputError(
        f"recipients: no column {', '.join(lacking)}, which the templates use and "
        f"[defaults] does not give{there}"
    )


def field_name(written: str) -> str:
    """Return the name of a column as templates use it: what no name may have becomes `_`."""
    return re.sub(r"\W+", "_", written.strip())


def is_email(name: str, email: str | None) -> bool:
    """Whether a column of this `field_name` holds the address; `email`: the one that was named."""
    return name.lower() in _EMAIL if email is None else name == field_name(email)


def _found(cells: list[str]) -> str:
    if any("@" in cell for cell in cells):
        return "; the first line looks like a row"
    likely = next((cell.strip() for cell in cells if "mail" in cell.lower()), None)
    if likely is not None:
        return (
            f"; if `{likely[:_SHOWN]}` holds the addresses, say --email-column {likely[:_SHOWN]!r}"
        )
    return f" (found: {', '.join(cells)[:_SHOWN]})"
