"""Gzip undone, in bounded pieces."""

import zlib
from collections.abc import Iterator
from itertools import chain
from typing import Final

from postroom.errors import UnreadableSourceError
from postroom.intake.form import GZIP_MAGIC

_CHUNK: Final = 1 << 20
_PIECE: Final = 1 << 14


def unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Undo gzip, told by its first bytes; pass anything else on."""
    first = next(chunks, b"")
    while len(first) < len(GZIP_MAGIC) and (more := next(chunks, b"")):
        first += more
    if not first.startswith(GZIP_MAGIC):
        yield first
        yield from chunks
        return
    pieces = _pieces(chain([first], chunks))
    try:
        yield from _gunzipped(next(pieces), pieces)
    except zlib.error as error:
        raise UnreadableSourceError(f"the gzip file is broken: {error}") from None


def _pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Cut small: each end of a member copies what is left of a piece, and a member has 20 bytes."""
    for chunk in chunks:
        for start in range(0, len(chunk), _PIECE):
            yield chunk[start : start + _PIECE]


def _gunzipped(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    member, packed = zlib.decompressobj(wbits=31), first
    while packed:
        # A bounded piece at a time: a megabyte may hold a gigabyte of zeros.
        yield member.decompress(packed, _CHUNK)
        if member.eof:
            # Another member may follow, or the zeros that tape tools leave behind the last.
            packed = _after_zeros(member.unused_data, chunks)
            member = zlib.decompressobj(wbits=31) if packed else member
        else:
            packed = member.unconsumed_tail or next(chunks, b"")
    while tail := member.decompress(b"", _CHUNK):
        yield tail
    if not member.eof:
        raise UnreadableSourceError("the gzip file ends too early: is it complete?")


def _after_zeros(held: bytes, chunks: Iterator[bytes]) -> bytes:
    while not (rest := held.lstrip(b"\0")) and (held := next(chunks, b"")):
        pass
    return rest
