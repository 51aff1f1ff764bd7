"""The rate: held to 99 %, never above the burst, hardly ever throttled. Two worker processes."""

from benchmarks.lab import lab, report
from postroom.localstack.stack import Shape

_SECONDS = 20
_RATES = (14, 200, 1000)


def main() -> None:
    for mode in ("bulk", "single"):
        for rate in _RATES:
            _held(mode, rate)


def _held(mode: str, rate: int) -> None:
    # The local SES's own bucket holds one second, as SES's does.
    shape = Shape(workers=2, rate=rate, latency_ms=60, simulator_options=("--burst-seconds", "1"))
    with lab(shape, account=f"send_mode = '{mode}'") as room:
        figures = room.run(rate * _SECONDS)
    stats = figures.stats
    report(
        "rate_held",
        mode=mode,
        rate=rate,
        steady_rate=figures.steady_rate,
        share=figures.steady_rate / rate,
        throttled_share=stats["throttled"] / stats["accepted"],
        busiest_second=stats["busiest_second"],
        busiest_allowed=1.25 * rate + (50 if mode == "bulk" else 1),
        duplicates=stats["duplicates"]["extra"],
    )


if __name__ == "__main__":
    main()
