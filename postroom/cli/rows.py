"""Single rows of a recipients' file, for a look at it; producers read it whole."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from postroom import recipients
from postroom.errors import BadInputError
from postroom.model import Recipient
from postroom.recipients import GZIP_MAGIC, UTF8_BOM, Format

_START_BYTES = 4096


def nth(path: Path, row: int) -> Recipient:
    """Return the recipient in a row, as a spreadsheet counts: a CSV file's header is row 1.

    Raises `BadInputError` naming the file and the row.
    """
    with _opened(path) as file:
        for number, recipient in _numbered(file):
            if number == row:
                return recipient
    raise BadInputError(f"{path}: no recipient in row {row}")


def first(path: Path) -> Recipient:
    with _opened(path) as file:
        for _, recipient in islice(_numbered(file), 1):
            return recipient
    raise BadInputError(f"{path}: no recipient in it")


def estimated(path: Path) -> int:
    """Count the lines that hold something: the recipients, but for bad and repeated rows."""
    with _opened(path) as file:
        header = int(_format(file) is Format.CSV)
        return max(0, sum(1 for line in file if line.strip()) - header)


def start(path: Path) -> bytes:
    """Return the first bytes of a file, decompressed."""
    with _opened(path) as file:
        return file.read(_START_BYTES)


def _numbered(file: IO[bytes]) -> Iterator[tuple[int, Recipient]]:
    form = _format(file)
    return _json_rows(file) if form is Format.JSON_LINES else _csv_rows(file)


def _format(file: IO[bytes]) -> Format:
    begin = file.read(_START_BYTES)
    file.seek(len(UTF8_BOM) if begin.startswith(UTF8_BOM) else 0)
    return recipients.format_of(begin)


def _csv_rows(file: IO[bytes]) -> Iterator[tuple[int, Recipient]]:
    # Latin-1 keeps every byte; a cell is read as what it is when it is needed.
    text = io.TextIOWrapper(file, encoding="latin-1", newline="")
    at = file.tell()
    delimiter = recipients.delimiter_of(text.readline())
    text.seek(at)
    reader = csv.reader(text, delimiter=delimiter)
    header = recipients.header_of([_cell(one) for one in next(reader, [])], delimiter=delimiter)
    for number, row in enumerate(reader, start=2):
        if row:
            cells = [_cell(one) for one in row] + [""] * (header.width - len(row))
            fields = {name: cells[place] for name, place in header.fields}
            yield number, Recipient(cells[header.email].strip(), fields)


def _cell(written: str) -> str:
    return recipients.decoded(written.encode("latin-1"))


def _json_rows(file: IO[bytes]) -> Iterator[tuple[int, Recipient]]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict) or not isinstance(row.get("email"), str):
                raise BadInputError(f"row {number}: no object with a text `email`")
            fields = {recipients.field_name(name): row[name] for name in row if name != "email"}
            yield number, Recipient(row["email"].strip(), fields)


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
    except (json.JSONDecodeError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"{path}: {error}") from None
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from None
