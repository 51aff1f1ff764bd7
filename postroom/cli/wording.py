"""Numbers and spans as a person reads them at three in the morning."""

from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


def count(number: float) -> str:
    return f"{number:,.0f}"


def rate(per_second: float) -> str:
    """A rate with as many digits as matter."""
    digits = 0 if per_second >= 100 else 1
    return f"{per_second:,.{digits}f}/s"


def span(seconds: float) -> str:
    """A span in its two largest units: `4 s`, `3 min 20 s`, `2 h 5 min`, `1 d 3 h`."""
    whole = max(0, round(seconds))
    for size, unit, smaller, small_unit in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= size:
            large, rest = divmod(whole, size)
            return f"{large} {unit} {rest // smaller} {small_unit}"
    return f"{whole} s"


def printable(text: str) -> str:
    """Text of others without anything that a terminal would obey."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
