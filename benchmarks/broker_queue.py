"""How many batches wait in the broker while a million recipients are sent; none may pile up."""

import sys

from benchmarks.lab import lab, report
from benchmarks.watching import sampled, watch
from postroom.localstack.stack import Shape

_RECIPIENTS = 1_000_000


def main() -> None:
    given = [int(one) for one in sys.argv[1:] if one.isdigit()]
    recipients = given[0] if given else _RECIPIENTS
    with lab(Shape(workers=2, latency_ms=60)) as room, watch(room) as see:
        campaign_id = room.submit(recipients)
        with sampled(see.queued) as samples:
            room.wait(campaign_id, 1800)
        slots, accepted = see.slots(), see.accepted(campaign_id)
    report(
        "broker_queue",
        recipients=accepted,
        slots=slots,
        samples=len(samples),
        queued_max=max(samples),
        queued_mean=sum(samples) / len(samples),
        allowed=4 * slots,
    )


if __name__ == "__main__":
    main()
