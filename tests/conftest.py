"""What every test may ask for: a real Redis, and a store on it."""

from collections.abc import Iterator

import msgspec
import pytest

from postroom import settings as settings_module
from postroom.settings import Account, Sender, Settings
from postroom.store.connection import Store
from tests.support.office import Office
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One redis-server for the whole run; tests that harm it start their own."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(redis_server: RedisServer) -> Settings:
    """The defaults, one account and one sender, over this run's Redis."""
    loaded = settings_module.load({"POSTROOM_REDIS_URL": redis_server.url})
    return msgspec.structs.replace(
        loaded,
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
def office(store: Store, settings: Settings) -> Iterator[Office]:
    """A client and a producer on an empty Redis."""
    office = Office(store, settings)
    yield office
    office.close()
