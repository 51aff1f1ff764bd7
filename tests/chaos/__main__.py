"""`python -m tests.chaos [SEED] [RUN ...]`: the chaos runs, one JSON line of figures each.

Exits with 1, and the seed, when a law was broken.
"""

import json
import random
import sys

from postroom.model import OnAmbiguous
from tests.chaos.faults import CHILDREN, PROCESSES
from tests.chaos.rig import Shape
from tests.chaos.run import Plan, run

_SLOW_SES = {"latency_ms": 400.0, "jitter_ms": 150.0}

PLANS = {
    plan.name: plan
    for plan in (
        Plan(
            name="unlimited",
            recipients=100_000,
            faults=55,
            bag=PROCESSES,
            shape=Shape(**_SLOW_SES),
            producers_killed=3,
        ),
        Plan(
            name="rate",
            recipients=20_000,
            faults=55,
            bag=PROCESSES,
            shape=Shape(rate=1000.0, latency_ms=150.0, jitter_ms=50.0),
            longest_pause_seconds=2.0,
        ),
        Plan(
            name="resend",
            recipients=20_000,
            faults=50,
            bag=PROCESSES,
            shape=Shape(**_SLOW_SES),
            on_ambiguous=OnAmbiguous.RESEND,
            longest_pause_seconds=2.0,
        ),
        Plan(
            name="prefork",
            recipients=20_000,
            faults=50,
            bag=CHILDREN,
            shape=Shape(pool="processes", workers=2, slots=3, **_SLOW_SES),
            longest_pause_seconds=2.0,
        ),
    )
}


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1_000_000)
    sys.stdout.write(f"SEED={seed}\n")
    bad = False
    for name in sys.argv[2:] or PLANS:
        figures = run(PLANS[name], seed)
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()
        bad = bad or bool(figures["broken"])
    if bad:
        sys.exit(f"a law was broken: make chaos SEED={seed} has it again")


if __name__ == "__main__":
    main()
