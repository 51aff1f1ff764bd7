"""Bytes to text: UTF-8, or what else a spreadsheet saves.

Bytes that are no UTF-8 are Windows-1252, as browsers read them, whatever they call themselves:
https://html.spec.whatwg.org/multipage/parsing.html#determining-the-character-encoding
"""

import codecs
import re
from collections.abc import Iterator
from typing import Final

UTF8_BOM: Final = b"\xef\xbb\xbf"
UTF16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")

# The five bytes that Windows-1252 leaves undefined stay the controls they are in Latin-1:
# https://encoding.spec.whatwg.org/index-windows-1252.txt
_OF_WINDOWS: Final = {
    byte: bytes([byte]).decode("cp1252")
    for byte in range(0x80, 0xA0)
    if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
_CELL_END: Final = re.compile(rb'[\s",;|]')
_SHOWN_BYTES: Final = 40


def decoded(text: bytes) -> str:
    """Decode UTF-8, or else Windows-1252, in which every byte is something."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1").translate(_OF_WINDOWS)


def odd_word(line: bytes) -> str | None:
    """Return the word with the first byte that is not UTF-8, read as `decoded` does; or None."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        # A bounded piece on either side: a line may be of megabytes.
        before = _CELL_END.split(line[max(0, error.start - _SHOWN_BYTES) : error.start])[-1]
        after = _CELL_END.split(line[error.start : error.start + _SHOWN_BYTES])[0]
        return (before + after).decode("latin-1").translate(_OF_WINDOWS)
    return None


def in_utf8(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass chunks on without their byte order mark; what one says is UTF-16 becomes UTF-8."""
    if not first.startswith(UTF16_BOMS):
        yield first.removeprefix(UTF8_BOM)
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
    yield decoder.decode(first).encode()
    for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()
