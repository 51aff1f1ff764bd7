"""A recipients' file of the person at this terminal: all of it, or single rows."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, BinaryIO, Final

from postroom.content.fields import NONE, Fields
from postroom.errors import BadInputError, UnreadableSourceError
from postroom.intake.look import Looked, Numbered, first_rows, look, rows_of
from postroom.model import BadRow, Recipient
from postroom.submission.recipients import check_start
from postroom.submission.shipping import chunks_of

_IN_MEMORY: Final = 64 << 20
STDIN: Final = "-"


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a file, or stdin for `-`, so that it can be read more than once.

    What is wrong with it is a `BadInputError` naming it.
    """
    try:
        with sys.stdin.buffer if path == STDIN else open(path, "rb") as raw:  # noqa: PTH123
            if raw.seekable():
                yield raw
                return
            with tempfile.SpooledTemporaryFile(_IN_MEMORY) as kept:
                shutil.copyfileobj(raw, kept)
                kept.seek(0)
                yield kept  # type: ignore[misc]
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror or error}") from None
    except UnreadableSourceError as error:
        raise BadInputError(f"{path}: {error}") from None


def looked(
    raw: BinaryIO,
    fields: Fields,
    *,
    email: str | None,
    suppressed: Callable[[Sequence[str]], Sequence[int]] = lambda _: (),
    each: Callable[[Sequence[BadRow]], object] = lambda _: None,
) -> Looked:
    """Look at all recipients of a file, and be at its start again. Raises as `look` does."""
    chunks = chunks_of(raw)
    first = next(chunks, b"")
    check_start(first, fields, email=email)
    found = look(chain([first], chunks), fields, email=email, suppressed=suppressed, each=each)
    raw.seek(0)
    return found


def begin(raw: BinaryIO, fields: Fields, count: int, *, email: str | None) -> list[Numbered]:
    """Return the first rows of a file, and be at its start again."""
    rows = first_rows(chunks_of(raw), fields, count, email=email)
    raw.seek(0)
    return rows


def nth(path: str, row: int | None, *, email: str | None = None) -> Recipient:
    """Return the recipient in a row, as a spreadsheet counts: a CSV file's header is row 1.

    None: in the first row. Raises `BadInputError` naming the file and the row.
    """
    with _named(path), opened(path) as raw:
        for number, found in rows_of(chunks_of(raw), NONE, email=email):
            if row is None or number == row:
                if isinstance(found, str):
                    raise BadInputError(f"row {number}: {found}")
                return found
    raise BadInputError(f"{path}: no recipient in {'it' if row is None else f'row {row}'}")


@contextmanager
def _named(path: str) -> Iterator[Any]:
    try:
        yield
    except BadInputError as error:
        what = str(error).removeprefix("recipients: ")
        raise BadInputError(what if what.startswith(path) else f"{path}: {what}") from None
