"""The quota: 1,000 in any 60 s, a campaign of 3,000; what the workers cost while they wait."""

from benchmarks.lab import lab, report
from postroom.localstack.stack import Shape

_QUOTA = 1_000
_WINDOW_SECONDS = 60
_RECIPIENTS = 3_000


def main() -> None:
    shape = Shape(
        workers=2,
        quota=_QUOTA,
        latency_ms=60,
        simulator_options=("--quota-window", str(_WINDOW_SECONDS)),
    )
    with lab(shape, account=f"quota_window_seconds = {_WINDOW_SECONDS}") as room:
        figures = room.run(_RECIPIENTS)
    report(
        "quota_wait",
        seconds=figures.seconds,
        most_in_a_window=figures.stats["max_in_window"],
        refused=figures.stats["refused"],
        worker_cpu_percent=figures.cpu_seconds["worker"] / figures.seconds / 2 * 100,
        duplicates=figures.stats["duplicates"]["extra"],
    )


if __name__ == "__main__":
    main()
