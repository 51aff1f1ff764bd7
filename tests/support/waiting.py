"""Wait for a condition with a deadline; never sleep for luck."""

import time
from collections.abc import Callable

_PAUSE_SECONDS = 0.02


def wait_until(condition: Callable[[], object], what: str, *, seconds: float = 60) -> None:
    """Return once `condition()` is true; fail, naming `what`, when it is not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain until: {what}")
        time.sleep(_PAUSE_SECONDS)  # noqa: TID251 - the one pause of the tests
