"""Bytes of a source into lines: a byte order mark, another encoding, lines cut anywhere."""

import io
from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple

from postroom.errors import UnreadableSourceError
from postroom.intake.encoding import UTF8_BOM, decoded, in_utf8, odd_word
from postroom.intake.form import Format, format_of

MAX_LINE: Final = 16 << 20
_TOLD_BY: Final = 4096
"""Bytes by which a source shows what it is."""


class OddLine(NamedTuple):
    """The first line that is not UTF-8."""

    number: int
    word: str
    """Where it is not, as it was read."""


class Lines:
    """Lines of a source. `format` and all lines come after one pass over the bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Raises `BadInputError` for what is no table, `UnreadableSourceError`."""
        pieces = in_utf8(_at_least(len(UTF8_BOM), chunks), chunks)
        first = _at_least(_TOLD_BY, pieces)
        self.format: Final[Format] = format_of(first)
        self.bytes = 0
        """Handed out so far."""
        self.lines = 0
        self.odd: OddLine | None = None
        """Lines that are not UTF-8 are read as Windows-1252."""
        self.nul = False
        """A NUL byte was seen."""
        self._blocks: Final = _whole_lines(first, pieces)

    def raw(self) -> Iterator[bytes]:
        for block in self._blocks:
            self.bytes += len(block)
            lines = block.splitlines(keepends=True)
            self.lines += len(lines)
            yield from lines

    def text(self) -> Iterator[str]:
        """Yield lines with their line ends as they are, for the csv module."""
        for block in self._blocks:
            self.bytes += len(block)
            self.nul = self.nul or b"\0" in block
            lines = self._decoded(block)
            self.lines += len(lines)
            yield from lines

    def as_utf8(self, line: bytes, number: int) -> bytes:
        """Return a raw line in UTF-8, whatever it was in."""
        self._look(line, number)
        return decoded(line).encode()

    def _decoded(self, block: bytes) -> list[str]:
        try:
            return io.StringIO(block.decode("utf-8"), newline="").readlines()
        except UnicodeDecodeError:
            return self._decoded_singly(block)

    def _decoded_singly(self, block: bytes) -> list[str]:
        lines = []
        for number, line in enumerate(block.splitlines(keepends=True), start=self.lines + 1):
            self._look(line, number)
            lines.append(decoded(line))
        return lines

    def _look(self, line: bytes, number: int) -> None:
        if self.odd is None and (word := odd_word(line)) is not None:
            self.odd = OddLine(number, word)


def _at_least(size: int, chunks: Iterator[bytes]) -> bytes:
    """Read so many bytes, and no more than the chunk they end in; fewer when there are no more."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if len(held) >= size:
            break
    return bytes(held)


def _whole_lines(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Cut behind the last line end of each chunk; the rest goes with the next one."""
    held = bytearray()
    for chunk in chain([first], chunks):
        # What was held has no line end, save perhaps a final CR: only what is new is searched.
        searched = max(0, len(held) - 1)
        held += chunk
        end = _last_line_end(held, searched)
        if end:
            yield bytes(held[:end])
            del held[:end]
        elif len(held) > MAX_LINE:
            raise UnreadableSourceError(f"a line is longer than {MAX_LINE >> 20} MB")
    if held:
        yield bytes(held)


def _last_line_end(held: bytearray, start: int) -> int:
    """Return where the last complete line ends. A final CR may be half of a CR LF."""
    return max(held.rfind(b"\n", start), held.rfind(b"\r", start, max(0, len(held) - 1))) + 1
