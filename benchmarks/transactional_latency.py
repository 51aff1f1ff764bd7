"""From `client.send` to accepted, while a bulk campaign takes all of the rate."""

import time

from benchmarks.lab import lab, report
from benchmarks.watching import Watch, pause, share, until, watch
from postroom.localstack.stack import Shape
from postroom.model import Message

_RUNS = ((14, 100, 0.5), (500, 200, 0.1))
"""Rate, messages, seconds between two of them."""


def main() -> None:
    for rate, messages, every_seconds in _RUNS:
        shape = Shape(
            workers=2,
            rate=rate,
            latency_ms=60,
            simulator_options=("--burst-seconds", "1", "--mails-kept", "200000"),
        )
        with lab(shape) as room, watch(room) as see:
            seconds = _measure(see, rate, messages, every_seconds)
        report(
            "transactional_latency",
            rate=rate,
            messages=messages,
            p50_seconds=share(seconds, 0.5),
            p99_seconds=share(seconds, 0.99),
            max_seconds=max(seconds),
        )


def _measure(see: Watch, rate: int, messages: int, every_seconds: float) -> list[float]:
    bulk = see.room.submit(int(rate * (messages * every_seconds + 60)))
    until(lambda: see.accepted(bulk) > rate * 5, "bulk mail saturates the rate")
    asked: dict[str, float] = {}
    for number in range(messages):
        address = f"transaction{number}@example.org"
        asked[address] = time.time()
        see.room.postroom.send("news", Message(subject="Your code", text="123"), address)
        pause(every_seconds)
    until(lambda: len(see.times("transaction")) == messages, "all messages are accepted")
    see.room.postroom.cancel(bulk)
    accepted = see.times("transaction")
    return [accepted[address] - at for address, at in asked.items()]


if __name__ == "__main__":
    main()
