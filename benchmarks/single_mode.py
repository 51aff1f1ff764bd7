"""Single mode: concurrent SendEmail calls of one worker process, rate unlimited."""

from benchmarks.lab import lab, report
from postroom.localstack.stack import Shape

_RECIPIENTS = 20_000


def main() -> None:
    with lab(Shape(workers=1, latency_ms=60), account="send_mode = 'single'") as room:
        figures = room.run(_RECIPIENTS)
    report(
        "single_mode",
        mails_per_second=figures.mails_per_second,
        cpu_us_per_mail=figures.ours_us_per_mail,
        duplicates=figures.stats["duplicates"]["extra"],
    )


if __name__ == "__main__":
    main()
