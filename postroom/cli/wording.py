"""Numbers and spans as a person reads them at three in the morning."""

from typing import Final

from postroom import clock

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


def count(number: float) -> str:
    return f"{number:,.0f}"


def many(number: float, what: str, several: str = "") -> str:
    """A number of things: `1 row`, `1,200 rows`; `several` for what takes more than an s."""
    return f"{count(number)} {what}" if number == 1 else f"{count(number)} {several or f'{what}s'}"


def rate(per_second: float) -> str:
    """A rate with as many digits as matter."""
    digits = 0 if per_second >= 100 else 1
    return f"{f'{per_second:,.{digits}f}'.removesuffix('.0')}/s"


def span(seconds: float) -> str:
    """A span in its two largest units: `4 s`, `3 min 20 s`, `2 h`, `1 d 3 h`."""
    whole = max(0, round(seconds))
    for size, unit, smaller, small_unit in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= size:
            large, rest = divmod(whole, size)
            small = rest // smaller
            return f"{large} {unit} {small} {small_unit}" if small else f"{large} {unit}"
    return f"{whole} s"


def moment(seconds: float) -> str:
    """A moment of today by its time, any other with its date; UTC."""
    then = clock.utc(seconds)
    today = clock.utc(clock.now()).date()
    return then.strftime("%H:%M:%S UTC" if then.date() == today else "%Y-%m-%d %H:%M UTC")


def day_or_time(seconds: float) -> str:
    """A moment in few columns: of today by its time, of another day by its date; UTC."""
    then, today = clock.utc(seconds), clock.utc(clock.now()).date()
    return then.strftime("%H:%M:%S" if then.date() == today else "%Y-%m-%d")


def printable(text: str) -> str:
    """Text of others without anything that a terminal would obey."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
