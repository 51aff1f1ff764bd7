"""What a service hands over: a file whose bytes go as they are, or recipients of its own.

Only the start of a file is looked at before it is shipped; producers read it whole.
"""

import io
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from postroom.content.address import sendable
from postroom.content.fields import Fields, filled
from postroom.content.sandbox import EMAIL
from postroom.errors import BadInputError
from postroom.intake.encoding import decoded, in_utf8
from postroom.intake.form import GZIP_MAGIC, Format, format_of
from postroom.intake.header import cells_of, check_header, field_name, header_of, start_of
from postroom.model import Recipient

_LOOKED_AT: Final = 1 << 20
"""Bytes of a file in which its header must end."""


def check_start(start: bytes, fields: Fields, *, email: str | None = None) -> None:
    """Check what can be told from the first bytes of a file. Raises `BadInputError`."""
    opened = b"".join(in_utf8(_opened(start), iter(())))
    if format_of(opened) is Format.JSON_LINES:
        return
    begun = start_of(io.StringIO(decoded(opened), newline=""), email=email)
    if begun.empty:
        raise BadInputError("recipients: the file is empty; a header with a column `email` is due")
    cells = cells_of(begun.lines[-1], delimiter=begun.delimiter)
    check_header(header_of(cells, delimiter=begun.delimiter, email=email), fields)


def json_lines(
    recipients: Iterable[Recipient | Mapping[str, Any] | str],
    fields: Fields,
    *,
    email: str | None = None,
) -> Iterator[bytes]:
    """Encode what a service hands over, one JSON object a line.

    Raises `BadInputError` for what is no recipient, and at the end when none can be mailed.
    """
    encode = msgspec.json.Encoder().encode
    fault, number = "", 0
    good = False
    for number, one in enumerate(recipients, start=1):
        try:
            record = _record(one, email or EMAIL)
            yield encode(record) + b"\n"
        except (TypeError, ValueError, RecursionError) as error:
            raise BadInputError(f"recipient {number}: {error}") from None
        if not good:  # The first who can be mailed is enough: producers look at everybody.
            why = _fault(record, fields, email or EMAIL)
            good, fault = not why, fault or f"recipient {number}: {why}"
    if number and not good:
        raise BadInputError(f"recipients: none of {number:,} can be mailed; {fault}")


def _fault(record: Mapping[str, Any], fields: Fields, name: str) -> str:
    """Say why nobody can be mailed for a record; empty when somebody can."""
    email = record.get(name)
    if not isinstance(email, str):
        return f"no `{name}`"
    try:
        sendable(email)
    except BadInputError as error:
        return str(error)
    named = {field_name(str(key)): value for key, value in record.items()}
    lacking = sorted(fields.required - filled(Recipient(email, named), fields).fields.keys())
    return f"no {lacking[0]!r}, which the templates use" if lacking else ""


def _record(one: object, email: str) -> Mapping[str, Any]:
    if isinstance(one, str):
        return {email: one}
    if isinstance(one, Recipient):
        return {**one.fields, email: one.email}
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
