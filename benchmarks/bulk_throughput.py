"""Bulk throughput and CPU a mail, rate unlimited, one worker process; beside a plain sender."""

from benchmarks import plain_sender
from benchmarks.lab import lab, report
from postroom.localstack.stack import Shape

_RECIPIENTS = 300_000
_PLAIN_RECIPIENTS = 6_000


def main() -> None:
    with lab(Shape(workers=1, latency_ms=60)) as room:
        room.run(5_000)  # Warm: connections, compiled templates.
    with lab(Shape(workers=1, latency_ms=60)) as room:
        figures = room.run(_RECIPIENTS)
    report(
        "bulk_throughput",
        mails_per_second=figures.mails_per_second,
        cpu_us_per_mail=figures.ours_us_per_mail,
        cpu_us_by_process={
            kind: round(spent / _RECIPIENTS * 1e6, 1) for kind, spent in figures.cpu_seconds.items()
        },
        duplicates=figures.stats["duplicates"]["extra"],
    )
    plain = plain_sender.measure(_PLAIN_RECIPIENTS)
    report(
        "plain_sender",
        mails_per_second=plain,
        times_slower=figures.mails_per_second / plain,
    )


if __name__ == "__main__":
    main()
