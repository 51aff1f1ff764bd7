"""What `appendfsync always` costs, beside the `everysec` that Redis comes with."""

from benchmarks.lab import lab, report
from postroom.localstack.stack import Shape

_RECIPIENTS = 100_000


def main() -> None:
    for policy in ("everysec", "always"):
        shape = Shape(workers=1, latency_ms=60, redis_options=("--appendfsync", policy))
        with lab(shape) as room:
            figures = room.run(_RECIPIENTS)
        report("fsync", appendfsync=policy, mails_per_second=figures.mails_per_second)


if __name__ == "__main__":
    main()
