"""A store whose clock a test may stop; a simulator for the tests of whatever speaks to SES."""

from collections.abc import Iterator

import pytest

from postroom.settings import Settings
from tests.simulator.running import RunningSimulator
from tests.support.redis_clock import ClockedStore
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture
def simulator(
    shared_simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> RunningSimulator:
    """A simulator with default settings and no faults, and credentials for it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    shared_simulator.post("reset")
    return shared_simulator


@pytest.fixture
def store(redis_server: RedisServer, settings: Settings) -> Iterator[ClockedStore]:
    """A store on an empty Redis, whose clock a test may stop."""
    redis_server.client.flushall()
    store = ClockedStore(settings.redis)
    yield store
    store.close()
