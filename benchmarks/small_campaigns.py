"""N campaigns of 5 recipients, submitted by 8 threads of one service: campaigns a second, and the
CPU and memory of each. `python -m benchmarks.small_campaigns [N ...]`; else 200 and 2,000.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.lab import Lab, lab, report
from benchmarks.watching import Watch, pause, until, watch
from postroom.localstack.stack import Shape

_RECIPIENTS = 5
_THREADS = 8


def main() -> None:
    for number in [int(one) for one in sys.argv if one.isdigit()] or (200, 2_000):
        with lab(Shape(workers=2, latency_ms=40)) as room, watch(room) as seen:
            room.run(5_000)  # Warm.
            pause(1)
            _measure(room, seen, number)


def _measure(room: Lab, seen: Watch, number: int) -> None:
    wanted, memory = seen.accepted_in_all() + number * _RECIPIENTS, _memory(seen)
    spent, began = room.cpu(), time.monotonic()
    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(lambda _: room.submit(_RECIPIENTS), range(number)))
    submitted = time.monotonic() - began
    until(lambda: seen.accepted_in_all() >= wanted, "all are sent", seconds=600)
    took, after = time.monotonic() - began, room.cpu()
    pause(2)
    cpu = {kind: (after[kind] - spent[kind]) / number * 1e3 for kind in after}
    report(
        "small_campaigns",
        campaigns=number,
        campaigns_per_second=number / took,
        submitted_seconds=submitted,
        cpu_ms=sum(used for kind, used in cpu.items() if kind != "simulator"),
        **{f"{kind}_cpu_ms": used for kind, used in cpu.items()},
        bytes_of_each=(_memory(seen) - memory) / number,
    )


def _memory(seen: Watch) -> int:
    return int(seen.store.client.info("memory")["used_memory"])


if __name__ == "__main__":
    main()
