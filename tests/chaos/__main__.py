"""`python -m tests.chaos [SEED] [RUN ...]`: the chaos runs, one JSON line of figures each.

`--share 0.4` makes each campaign, and what is done to it, so much smaller. Exits with 1, and the
seed, when a law was broken.
"""

import json
import random
import sys
from argparse import ArgumentParser
from dataclasses import replace

from postroom.model import OnAmbiguous
from tests.chaos import messages
from tests.chaos.faults import CHILDREN, PROCESSES
from tests.chaos.plans import Plan
from tests.chaos.rig import Shape
from tests.chaos.run import run

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
        Plan(
            name="single",
            recipients=10_000,
            faults=50,
            bag=PROCESSES,
            shape=Shape(send_mode="single", **_SLOW_SES),
            longest_pause_seconds=2.0,
        ),
        Plan(
            name="messages",
            recipients=100_000,
            faults=50,
            bag=PROCESSES,
            shape=Shape(**_SLOW_SES),
            messages_per_second=1_000.0,
        ),
    )
}


def main() -> None:
    parser = ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("seed", type=int, nargs="?")
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--share", type=float, default=1.0)
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    sys.stdout.write(f"SEED={seed}\n")
    bad = False
    for name in given.runs or PLANS:
        plan = _smaller(PLANS[name], given.share)
        figures = messages.run(plan, seed) if plan.messages_per_second else run(plan, seed)
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()
        bad = bad or bool(figures["broken"])
    if bad:
        sys.exit(f"a law was broken: make chaos SEED={seed} has it again")


def _smaller(plan: Plan, share: float) -> Plan:
    return replace(plan, recipients=int(plan.recipients * share), faults=int(plan.faults * share))


if __name__ == "__main__":
    main()
