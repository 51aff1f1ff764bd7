"""Single rows of a recipients' file, for a look at it; producers read it whole."""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO

from postroom import recipients
from postroom.errors import BadInputError
from postroom.model import Recipient
from postroom.recipients import GZIP_MAGIC, UTF8_BOM, Format, Header

_START_BYTES = 4096


def nth(path: Path, row: int) -> Recipient:
    """Return the recipient in a row, as a spreadsheet counts: a CSV file's header is row 1.

    Raises `BadInputError` naming the file and the row.
    """
    with _opened(path) as file:
        for number, found in _numbered(file):
            if number == row:
                return _good(number, found)
    raise BadInputError(f"{path}: no recipient in row {row}")


def first(path: Path) -> Recipient:
    with _opened(path) as file:
        for number, found in islice(_numbered(file), 1):
            return _good(number, found)
    raise BadInputError(f"{path}: no recipient in it")


def sample(path: Path, limit: int) -> list[tuple[int, Recipient | str]]:
    """Return the first rows with their numbers; in place of one that cannot be read, why."""
    with _opened(path) as file:
        return list(islice(_numbered(file), limit))


def counted(path: Path) -> int:
    """Count the rows that hold something: the recipients, but for bad and repeated ones."""
    with _opened(path) as file:
        if _format(file) is Format.JSON_LINES:
            return sum(1 for line in file if line.strip())
        _, below = _below_header(file)
        return sum(1 for _ in below)


def start(path: Path) -> bytes:
    """Return the first bytes of a file, decompressed."""
    with _opened(path) as file:
        return file.read(_START_BYTES)


def _good(number: int, found: Recipient | str) -> Recipient:
    if isinstance(found, str):
        raise BadInputError(f"row {number}: {found}")
    return found


def _numbered(file: IO[bytes]) -> Iterator[tuple[int, Recipient | str]]:
    form = _format(file)
    return _json_rows(file) if form is Format.JSON_LINES else _csv_rows(file)


def _format(file: IO[bytes]) -> Format:
    begin = file.read(_START_BYTES)
    file.seek(len(UTF8_BOM) if begin.startswith(UTF8_BOM) else 0)
    return recipients.format_of(begin)


def _below_header(file: IO[bytes]) -> tuple[Header, Iterator[tuple[int, list[str]]]]:
    """Return the header, and the numbered rows below it that hold something."""
    # Latin-1 keeps every byte; a cell is read as what it is when it is needed.
    text = io.TextIOWrapper(file, encoding="latin-1", newline="")
    start = list(_to_header(text))
    delimiter = recipients.delimiter_of(start[-1] if start else "")
    reader = enumerate(csv.reader(chain(start, text), delimiter=delimiter), start=1)
    rows = ((number, row) for number, row in reader if "".join(row).strip())
    _, cells = next(rows, (0, []))
    return recipients.header_of([_cell(one) for one in cells], delimiter=delimiter), rows


def _to_header(text: Iterable[str]) -> Iterator[str]:
    """Yield the empty lines before the header, and its first line."""
    for line in text:
        yield line
        if line.strip():
            return


def _csv_rows(file: IO[bytes]) -> Iterator[tuple[int, Recipient | str]]:
    header, below = _below_header(file)
    for number, row in below:
        if len(row) != header.width:
            yield number, f"{len(row)} cells, where the header has {header.width}"
        else:
            cells = [_cell(one) for one in row]
            fields = {name: cells[place] for name, place in header.fields}
            yield number, Recipient(cells[header.email].strip(), fields)


def _cell(written: str) -> str:
    return recipients.decoded(written.encode("latin-1"))


def _json_rows(file: IO[bytes]) -> Iterator[tuple[int, Recipient | str]]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield number, _json_row(line)


def _json_row(line: bytes) -> Recipient | str:
    try:
        row = json.loads(line)
    except ValueError as error:
        return f"not JSON: {error}"
    if not isinstance(row, dict) or not isinstance(row.get("email"), str):
        return "no object with a text `email`"
    fields = {recipients.field_name(name): row[name] for name in row if name != "email"}
    # Null counts as left out.
    given = {name: value for name, value in fields.items() if value is not None}
    return Recipient(row["email"].strip(), given)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, gzip or not. What is wrong with it is a `BadInputError` naming it."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            raw.seek(0)
            yield io.BufferedReader(gzip.GzipFile(fileobj=raw)) if packed else raw
    except (OSError, EOFError) as error:
        raise BadInputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    except csv.Error as error:
        raise BadInputError(f"{path}: {error}") from None
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from None
