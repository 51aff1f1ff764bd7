"""Which addresses a campaign has had: 64 bits each, without the addresses."""

from array import array
from collections.abc import Iterable
from typing import Final

_FIRST_SLOTS: Final = 1 << 16
_FEW_SLOTS: Final = 1 << 20
_GROWTH: Final = 4
"""Up to a few slots, 8 MB; beyond them by two, as the old table is there beside the new one."""
_FULL: Final = 0.66


class Seen:
    """A set of strings, by hash, in an open-addressing table of 12 to 25 bytes a string, half of
    that once more while it grows: a process of 10 million had 203 MB at most, one of 50 million
    1.5 GB. Growing stops the campaign's split for 0.15 µs a string, 6 s at 44 million: a lease
    (`producer.lease_seconds`, 30 s) bears that up to about 180 million.

    Python's own set would take over 100. Two different strings are taken for one with a chance
    of n²/2⁶⁵: below one in a million for five million addresses. Not shared between processes:
    `hash` differs there, so a producer that goes on fills its own.
    """

    def __init__(self) -> None:
        self._slots = _empty(_FIRST_SLOTS)
        self._count = 0

    def repeats(self, keys: list[str]) -> list[int]:
        """Add all; return the positions of those that were there before, in ascending order."""
        self._make_room(len(keys))
        slots, mask, repeated = self._slots, len(self._slots) - 1, []
        for at, mark in enumerate(map(hash, keys)):
            mark = mark or 1  # noqa: PLW2901 - 0 stands for an empty slot
            place = mark & mask
            while (held := slots[place]) and held != mark:
                place = (place + 1) & mask
            if held:
                repeated.append(at)
            else:
                slots[place] = mark
        self._count += len(keys) - len(repeated)
        return repeated

    def _make_room(self, more: int) -> None:
        size = len(self._slots)
        while self._count + more > size * _FULL:
            size *= _GROWTH if size < _FEW_SLOTS else 2
        if size > len(self._slots):
            held, self._slots = self._slots, _empty(size)
            _refill(self._slots, held)


def _empty(size: int) -> "array[int]":
    """Return so many empty slots, without their bytes standing beside them for a moment."""
    return array("q", [0]) * size


def _refill(slots: "array[int]", held: Iterable[int]) -> None:
    mask = len(slots) - 1
    for mark in filter(None, held):
        place = mark & mask
        while slots[place]:
            place = (place + 1) & mask
        slots[place] = mark
