"""CSV or JSON Lines, told by the first bytes; and what is neither, by its name."""

import re
from enum import StrEnum
from typing import Final

from postroom.errors import BadInputError

GZIP_MAGIC: Final = b"\x1f\x8b"
_OTHERS: Final = {
    b"PK\x03\x04": "a zip file; unpack it",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save it as CSV UTF-8",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "an SQLite database; export the table as CSV",
}
_WORKBOOK: Final = (b"[Content_Types].xml", b"xl/", b"_rels/")
_ARRAY: Final = re.compile(rb'\[\s*+(?:[\[{"\]]|\Z)')


class Format(StrEnum):
    CSV = "csv"
    JSON_LINES = "jsonl"


def format_of(start: bytes) -> Format:
    """Tell the format by the first bytes: not compressed, in UTF-8, without a byte order mark.

    Raises `BadInputError` for what is known to be something else.
    """
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            if magic == b"PK\x03\x04" and any(one in start for one in _WORKBOOK):
                what = "an Excel workbook; save it as CSV UTF-8"  # noqa: PLW2901
            raise BadInputError(f"recipients: this is {what}")
    inner = start.lstrip()
    if _ARRAY.match(inner):
        raise BadInputError(
            "recipients: this is a JSON array; write one object a line (JSON Lines)"
        )
    return Format.JSON_LINES if inner.startswith(b"{") else Format.CSV
