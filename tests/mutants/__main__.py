"""`python -m tests.mutants [NAME ...]`: whether the fast tests notice each mutation kept here.

Exits with 1 when one survives or could not be tried. Nothing of the checkout is changed.
"""

import sys
from pathlib import Path
from typing import Final

from tests.mutants.patch import every
from tests.mutants.run import CannotTryError, Runner

_ROOT: Final = Path(__file__).parent.parent.parent
_FAST: Final = (
    "tests/unit",
    "tests/contract",
    "tests/property",
    "tests/integration/test_intake.py",
    "tests/integration/test_intake_records.py",
    "tests/integration/test_janitor.py",
    "tests/integration/test_limiter.py",
    "tests/integration/test_mending.py",
    "tests/integration/test_messages.py",
    "tests/integration/test_quota.py",
    "tests/integration/test_sender.py",
    "tests/integration/test_steering.py",
    "tests/integration/test_submit.py",
)
_SECONDS: Final = 600.0


def main() -> None:
    wanted = sys.argv[1:]
    mutants = [one for one in every() if not wanted or one.name in wanted]
    if unknown := set(wanted) - {one.name for one in mutants}:
        sys.exit(f"no such mutant: {', '.join(sorted(unknown))}")
    # Of a few, the tests that are meant to catch them are enough to be sure of.
    green = sorted({test for one in mutants for test in one.tests}) if wanted else _FAST
    runner, killed, rest = Runner(root=_ROOT, fast=_FAST, seconds=_SECONDS), 0, list[str]()
    try:
        for result in runner.results(mutants, green=green):
            sys.stdout.write(f"{result}\n")
            sys.stdout.flush()
            killed += bool(result.killed_by)
            rest += [] if result.killed_by else [result.mutant.name]
    except CannotTryError as error:
        sys.exit(str(error))
    sys.stdout.write(f"{killed} of {len(mutants)} killed\n")
    if rest:
        sys.exit(f"not killed: {', '.join(rest)}")


if __name__ == "__main__":
    main()
