"""200 campaigns of 1,000 submitted at once, against one campaign of 200,000."""

import time

from benchmarks.lab import Lab, lab, report
from benchmarks.watching import pause
from postroom.localstack import simulator
from postroom.localstack.stack import Shape
from postroom.model import State

_CAMPAIGNS = 200
_RECIPIENTS = 200_000


def main() -> None:
    with lab(Shape(workers=2, latency_ms=60)) as room:
        room.run(5_000)  # Warm: connections, compiled templates.
        one = _measure(room, 1)
    with lab(Shape(workers=2, latency_ms=60)) as room:
        room.run(5_000)
        many = _measure(room, _CAMPAIGNS)
    report(
        "many_campaigns",
        campaigns=_CAMPAIGNS,
        recipients=_RECIPIENTS,
        one_mails_per_second=one,
        many_mails_per_second=many,
        share=many / one,
    )


def _measure(room: Lab, campaigns: int) -> float:
    """Return mails a second from the first submit to the last accepted mail."""
    before = simulator.stats(room.stack.ses_url)["accepted"]
    began = time.time()
    ids = [
        room.submit(_RECIPIENTS // campaigns, name=f"campaign {number}")
        for number in range(campaigns)
    ]
    for campaign_id in ids:
        while room.postroom.status(campaign_id).state is not State.FINISHED:
            room.stack.check()
            pause(0.2)
    stats = simulator.stats(room.stack.ses_url)
    if stats["accepted"] - before != _RECIPIENTS or stats["duplicates"]["extra"]:
        raise SystemExit(f"not everybody was mailed once: {stats['accepted']}")
    return float(_RECIPIENTS / (stats["last_accepted_at"] - began))


if __name__ == "__main__":
    main()
