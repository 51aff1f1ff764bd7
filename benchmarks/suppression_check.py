"""What a call pays for asking whether its recipients are suppressed, with a million on the list.

python -m benchmarks suppression_check
"""

import time
from statistics import median

from benchmarks.lab import lab, report
from postroom import clock, settings
from postroom.localstack.stack import Shape
from postroom.model import Recipient
from postroom.store.connection import Store
from postroom.store.suppression import Suppression
from worker.sending.retry import store_waits
from worker.sending.suppression_check import SuppressionCheck

_LISTED, _CALL, _CALLS, _PAGE = 1_000_000, 50, 2_000, 10_000


def main() -> None:
    with lab(Shape(workers=1)) as room:
        store = Store(settings.load(room.stack.environ).redis)
        check = SuppressionCheck(
            Suppression(store), store_waits(clock.sleep, lambda: True), clock.monotonic
        )
        calls = [
            [Recipient(f"User{call * _CALL + at}@Example.org") for at in range(_CALL)]
            for call in range(_CALLS)
        ]
        empty = _microseconds(check, calls)
        for first in range(0, _LISTED, _PAGE):
            listed = {f"gone{first + at}@example.org": "unsubscribed" for at in range(_PAGE)}
            store.client.hset(store.keys.suppressed, mapping=listed)
        full = _microseconds(check, calls)
        store.close()
    report(
        "suppression_check",
        listed=_LISTED,
        microseconds_a_recipient=full,
        with_an_empty_list=empty,
    )


def _microseconds(check: SuppressionCheck, calls: list[list[Recipient]]) -> float:
    """Return the median over the calls: what else runs on the machine is not asked about."""
    took = []
    for recipients in calls:
        began = time.perf_counter()
        check.find(recipients)
        took.append(time.perf_counter() - began)
    return median(took) / _CALL * 1e6


if __name__ == "__main__":
    main()
