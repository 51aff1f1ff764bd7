"""What a service and a producer both know of recipients' files: CSV or JSON Lines, gzip or not.

A service ships the bytes of a file as they are; only the header line is looked at before that.
"""

import csv
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from postroom.errors import BadInputError
from postroom.model import Recipient

GZIP_MAGIC: Final = b"\x1f\x8b"
UTF8_BOM: Final = b"\xef\xbb\xbf"
_UTF16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS: Final = (",", ";", "\t")
_EMAIL: Final = frozenset({"email", "e_mail"})
_LOOKED_AT: Final = 1 << 20
"""Bytes of a file in which its header must end."""


class Format(StrEnum):
    CSV = "csv"
    JSON_LINES = "jsonl"


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


def format_of(start: bytes) -> Format:
    """Tell the format by the first bytes, which are not compressed.

    Raises `BadInputError` for an encoding that is neither UTF-8 nor Latin-1.
    """
    if start.startswith(_UTF16_BOMS):
        raise BadInputError("recipients: the file is UTF-16; save it as UTF-8")
    inner = start.removeprefix(UTF8_BOM).lstrip()
    return Format.JSON_LINES if inner.startswith(b"{") else Format.CSV


def delimiter_of(line: str) -> str:
    """Tell what separates the cells of a header line: comma, semicolon or tab."""
    for delimiter in _DELIMITERS:
        cells = cells_of(line, delimiter=delimiter)
        if any(field_name(cell).lower() in _EMAIL for cell in cells):
            return delimiter
    return _DELIMITERS[0]


def cells_of(line: str, *, delimiter: str) -> list[str]:
    """Cut a header line. Raises `BadInputError`."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise BadInputError(f"recipients: the header cannot be read: {error}") from None


def header_of(cells: list[str], *, delimiter: str, quoting: bool = True) -> Header:
    """Read the cells of a header line. Raises `BadInputError`.

    Unless `quoting`, the error repeats nothing of them: whoever names a file for a producer to
    read need not be one who may read it.
    """
    names = [field_name(cell) for cell in cells]
    emails = [at for at, name in enumerate(names) if name.lower() in _EMAIL]
    if not emails:
        found = _found(cells) if quoting else ""
        raise BadInputError(f"recipients: no column `email` in the header{found}")
    seen: dict[str, int] = {}
    for at, name in enumerate(names):
        same = "email" if name.lower() in _EMAIL else name
        if same in seen:
            named = f": {same!r}" if quoting else ""
            raise BadInputError(
                f"recipients: column {at + 1} of the header has the name of "
                f"column {seen[same] + 1}{named}"
            )
        if name:
            seen[same] = at
    fields = tuple((name, at) for at, name in enumerate(names) if name and at != emails[0])
    return Header(delimiter=delimiter, width=len(cells), email=emails[0], fields=fields)


def check_header(header: Header, required: frozenset[str], *, quoting: bool = True) -> None:
    """Raise `BadInputError` when the templates need a field that no column has."""
    lacking = sorted(required - {name for name, _ in header.fields})
    if lacking:
        columns = ", ".join(["email", *(name for name, _ in header.fields)])
        there = f"; the columns are {columns[:200]}" if quoting else ""
        raise BadInputError(
            f"recipients: no column {', '.join(lacking)}, which the templates use and "
            f"[defaults] does not give{there}"
        )


def check_start(start: bytes, required: frozenset[str]) -> None:
    """Check what can be told from the first bytes of a file. Raises `BadInputError`."""
    opened = _opened(start)
    if format_of(opened) is Format.JSON_LINES:
        return
    lines = io.StringIO(decoded(opened.removeprefix(UTF8_BOM)), newline="")
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise BadInputError("recipients: the file is empty; a header with a column `email` is due")
    delimiter = delimiter_of(first)
    header = header_of(cells_of(first, delimiter=delimiter), delimiter=delimiter)
    check_header(header, required)


def decoded(text: bytes) -> str:
    """Decode UTF-8, or else Latin-1, in which every byte is something."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def field_name(written: str) -> str:
    """Return the name of a column as templates use it: what no name may have becomes `_`."""
    return re.sub(r"\W+", "_", written.strip())


def json_lines(recipients: Iterable[Recipient | Mapping[str, Any] | str]) -> Iterator[bytes]:
    """Encode what a service hands over, one JSON object a line. Raises `BadInputError`."""
    encode = msgspec.json.Encoder().encode
    for number, one in enumerate(recipients, start=1):
        try:
            yield encode(_record(one)) + b"\n"
        except (TypeError, ValueError, RecursionError) as error:
            raise BadInputError(f"recipient {number}: {error}") from None


def _record(one: object) -> Mapping[str, Any]:
    if isinstance(one, str):
        return {"email": one}
    if isinstance(one, Recipient):
        return {**one.fields, "email": one.email}
    if isinstance(one, Mapping):
        return one if type(one) is dict else dict(one)
    raise TypeError(f"a {type(one).__name__}, where a Recipient, a mapping or an address is due")


def _opened(start: bytes) -> bytes:
    if not start.startswith(GZIP_MAGIC):
        return start
    try:
        # A bounded piece: a page of a bomb would unpack to a quarter of a gigabyte.
        return zlib.decompressobj(wbits=31).decompress(start, _LOOKED_AT)
    except zlib.error as error:
        raise BadInputError(f"recipients: the gzip file is broken: {error}") from None


def _found(cells: list[str]) -> str:
    if any("@" in cell for cell in cells):
        return "; the first line looks like a row"
    return f" (found: {', '.join(cells)[:200]})"
