"""One simulator for most tests, as new for each; others start their own with flags."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.simulator.running import RunningSimulator


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture
def simulator(shared_simulator: RunningSimulator) -> RunningSimulator:
    """A simulator with default settings, no faults and an empty mailbox."""
    shared_simulator.post("reset")
    return shared_simulator


@pytest.fixture
def start() -> Iterator[Callable[..., RunningSimulator]]:
    """Start a simulator with flags of one's own."""
    with ExitStack() as running:
        yield lambda *flags: running.enter_context(RunningSimulator(*flags))
