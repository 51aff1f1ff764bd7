"""A campaign of 500 that starts while a huge one runs, at several rates."""

import time

from benchmarks.lab import lab, report
from benchmarks.watching import Watch, until, watch
from postroom.localstack.stack import Shape

_SMALL = 500
_RATES = (100, 500, 2000)


def main() -> None:
    for rate in _RATES:
        with lab(Shape(workers=2, rate=rate, latency_ms=60)) as room, watch(room) as see:
            seconds = _measure(see, rate)
        report(
            "fairness",
            rate=rate,
            small=_SMALL,
            seconds=seconds,
            seconds_with_half_the_rate=_SMALL / (rate / 2),
            times=seconds / (_SMALL / (rate / 2)),
            times_allowed=2.0,
        )


def _measure(see: Watch, rate: int) -> float:
    """Return how long the small campaign took, from its submit to its last accepted mail."""
    huge = see.room.submit(max(100_000, rate * 60))
    until(lambda: see.accepted(huge) > rate * 5, "the huge campaign is under way")
    began = time.time()
    small = see.room.submit(_SMALL, name="small")
    until(lambda: see.accepted(small) >= _SMALL, "the small one is accepted")
    seconds = time.time() - began
    see.room.postroom.cancel(huge)
    return seconds


if __name__ == "__main__":
    main()
