"""What SES takes at once is learned: the rate holds whatever its bucket holds. Two workers.

SES's bucket refills by the rate and holds so many seconds of it: 0.05 s are 10 recipients at
200/s. Judged is what follows the first 20 seconds, in which the limiter learns.
`python -m benchmarks.learned_bucket [RATE/BUCKET_SECONDS ...]`.
"""

import sys
from typing import Any

from benchmarks.lab import Lab, lab, report
from benchmarks.watching import pause
from postroom.localstack import simulator
from postroom.localstack.stack import Shape

_LEARNING_SECONDS, _JUDGED_SECONDS = 20, 40
_CASES = ("200/0.2", "200/1", "200/0.05", "14/1")


def main() -> None:
    for case in [one for one in sys.argv[1:] if "/" in one] or _CASES:
        rate, bucket_seconds = case.split("/")
        _measure(int(rate), float(bucket_seconds))


def _measure(rate: int, bucket_seconds: float) -> None:
    options = ("--burst-seconds", str(bucket_seconds))
    shape = Shape(workers=2, rate=rate, latency_ms=60, simulator_options=options)
    with lab(shape) as room:
        room.submit(rate * (_LEARNING_SECONDS + _JUDGED_SECONDS + 20))
        while not simulator.stats(room.stack.ses_url)["accepted"]:
            pause(0.1)
        _, learned = pause(_LEARNING_SECONDS), _stats(room)
        _, later = pause(_JUDGED_SECONDS), _stats(room)
        account = room.postroom.accounts()[0]
    seconds = later["now"] - learned["now"]
    accepted, throttled, calls = (
        later[name] - learned[name] for name in ("accepted", "throttled", "calls_made")
    )
    report(
        "learned_bucket",
        rate=rate,
        bucket_seconds=bucket_seconds,
        share=accepted / seconds / rate,
        throttled_share=throttled / accepted,
        throttled_while_learning=learned["throttled"],
        recipients_per_call=accepted / calls,
        learned_seconds=account.burst_seconds,
        duplicates=later["duplicates"]["extra"],
    )


def _stats(room: Lab) -> dict[str, Any]:
    stats = simulator.stats(room.stack.ses_url)
    return {**stats, "calls_made": stats["calls"].get("SendBulkEmail", 0)}


if __name__ == "__main__":
    main()
