"""Encoding of messages while they wait in a segment: one line a message, its templates apart.

Many messages share their templates, so these are stored once for each distinct content of a
segment. What is stored of a message itself are its address and the values of the fields that
its templates name.
"""

import zlib
from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import msgspec

from postroom.content.fields import names_of
from postroom.errors import BadInputError, NewerFormatError
from postroom.model import Campaign

FORMAT: Final = 1
"""Of a segment, its entries and contents. A reader refuses what is newer."""

MAX_BYTES: Final = 40 * 1024 * 1024
"""No mail is larger than SES takes, nor are the fields that it is made of."""
_ID_BYTES: Final = 9
"""Twelve characters of base64, without a comma, a bar or a #: see extents in store/keys.py."""


_SHARED_BYTES: Final = 64 * 1024
"""Templates are smaller; a raw message may have megabytes, and is read once or twice."""


class Entry(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One message in a segment."""

    email: str
    content: str
    """Id of its content."""
    values: dict[str, Any] = {}
    """By number of the field in the content's `names`."""
    not_after: float = 0.0
    """Unix seconds; 0: at any time."""


class Raw(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that goes as it is."""

    mime: bytes
    tags: dict[str, str]
    configuration_set: str


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What messages share: templates, headers, tags, as a campaign has them; or a whole mail."""

    names: tuple[str, ...] = ()
    """Fields that the templates name, in the order in which entries number them."""
    campaign: Campaign | None = None
    raw: Raw | None = None


class Stored(msgspec.Struct, frozen=True):
    """A content as it goes to Redis, under an id that no other content has."""

    id: str
    record: bytes
    numbers: dict[str, str]
    """Field -> its number."""


_lines: Final = msgspec.json.Decoder(Entry)
# Fields in another order are the same message, for whoever repeats its key.
_entry: Final = msgspec.json.Encoder(decimal_format="string", order="deterministic")


def stored(campaign: Campaign) -> Stored:
    """Encode a content. The same content has the same id in every process."""
    return _stored(Content(names=tuple(sorted(names_of(campaign))), campaign=campaign))


def stored_raw(raw: Raw) -> Stored:
    """Encode a mail that goes as it is."""
    return _stored(Content(raw=raw))


def _stored(content: Content) -> Stored:
    raw = msgspec.msgpack.encode(content, order="deterministic")
    mark = blake2b(raw, digest_size=_ID_BYTES)
    numbers = {name: str(at) for at, name in enumerate(content.names)}
    return Stored(
        id=urlsafe_b64encode(mark.digest()).decode(),
        record=zlib.compress(raw, level=6),
        numbers=numbers,
    )


def content(record: bytes) -> Content:
    """Decode a content; small ones are shared. Raises `msgspec.DecodeError`, `zlib.error`."""
    return _shared(record) if len(record) <= _SHARED_BYTES else _decoded(record)


@lru_cache(maxsize=256)
def _shared(record: bytes) -> Content:
    return _decoded(record)


def _decoded(record: bytes) -> Content:
    return msgspec.msgpack.decode(zlib.decompress(record), type=Content)


def encode_entry(entry: Entry) -> bytes:
    """Encode one message: a line. Raises `BadInputError` for a value that JSON cannot hold."""
    try:
        line = _entry.encode(entry) + b"\n"
    except (TypeError, UnicodeEncodeError, ValueError, RecursionError) as error:
        raise BadInputError(f"recipient: a field cannot be kept: {error}") from None
    if len(line) > MAX_BYTES:
        raise BadInputError(f"recipient: its fields are {len(line)} bytes; SES takes {MAX_BYTES}")
    return line


def decode_entries(lines: bytes) -> list[Entry]:
    """Decode the messages of one batch."""
    return _lines.decode_lines(lines)


def check_format(found: int, segment: str) -> None:
    """Raise `NewerFormatError` when a newer Postroom wrote a segment."""
    if found > FORMAT:
        raise NewerFormatError(
            f"segment {segment} has format {found}; this process reads up to {FORMAT}"
        )
