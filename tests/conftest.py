"""What every test may ask for: a real Redis, and a store on it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import msgspec
import pytest
from hypothesis import HealthCheck, Phase

from postroom import settings as settings_module
from postroom.settings import Account, Sender, Settings
from postroom.store.connection import Store
from tests.support.client_harness import ClientHarness
from tests.support.redis_server import RedisServer

HERE = Path(__file__).parent

# A shell that runs this in the background has it ignore Ctrl-C, and every program that a test
# starts would ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Neither looks at the time: a busy machine is no fault of ours. `quick` is that of `make test`: a
# failure is told at once, with the blob that repeats it, instead of after minutes of shrinking;
# `thorough`, that of `make test-all`, shrinks (Hypothesis gives up after five minutes).
hypothesis.settings.register_profile(
    "quick",
    max_examples=100,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "thorough",
    hypothesis.settings.get_profile("quick"),
    max_examples=1000,
    phases=list(Phase),
)
hypothesis.settings.load_profile("quick")

LONGEST = (
    "integration/test_cli.py",
    "integration/test_redis_trouble.py",
    "integration/test_celery_trouble.py",
    "integration/test_unfit_workers.py",
    "integration/test_up.py",
    "integration/test_bound_senders.py",
    "integration/test_worker_process.py",
    "property/test_engine.py",
    "integration/test_producer_process.py",
    "deploy/test_entrypoint.py",
    "property/test_books.py",
    "integration/test_mutants.py",
    "chaos/test_chaos.py",
    "integration/test_demo.py",
    "integration/test_local_stack.py",
    "property/test_linear.py",
    "integration/test_brown_out.py",
    "integration/test_intake.py",
)
"""The files that take longest, in that order."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first: side by side with others, the last to end is a short one."""
    ranks = {HERE / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(LONGEST)))


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One redis-server for each process of the run; tests that harm it start their own."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(redis_server: RedisServer) -> Settings:
    """The defaults, one account and one sender, over this run's Redis; sources from anywhere."""
    loaded = settings_module.load({"POSTROOM_REDIS_URL": redis_server.url})
    return msgspec.structs.replace(
        loaded,
        producer=msgspec.structs.replace(
            loaded.producer, source_folder="/", source_buckets=["lists", "others"]
        ),
        accounts={"main": Account(region="eu-west-1")},
        senders={"news": Sender(account="main", from_="Shop <news@shop.example.com>")},
    )


@pytest.fixture
def store(redis_server: RedisServer, settings: Settings) -> Iterator[Store]:
    """A store on an empty Redis."""
    redis_server.client.flushall()
    store = Store(settings.redis)
    yield store
    store.close()


@pytest.fixture
def harness(store: Store, settings: Settings) -> Iterator[ClientHarness]:
    """A client and a producer on an empty Redis."""
    harness = ClientHarness(store, settings)
    yield harness
    harness.close()
