"""A worker over the fake SES and a client, on the real Redis of the run."""

from collections.abc import Iterator

import pytest

from postroom.client import Postroom
from postroom.settings import Settings
from postroom.store.connection import Store
from tests.support.fake_carrier import FakeCarrier
from tests.support.worker_harness import WorkerHarness, quick


@pytest.fixture
def carrier() -> FakeCarrier:
    return FakeCarrier()


@pytest.fixture
def post(store: Store, settings: Settings, carrier: FakeCarrier) -> Iterator[WorkerHarness]:
    """A worker whose account may send as fast as it likes."""
    post = WorkerHarness(store, quick(settings), carrier)
    post.allow()
    yield post
    post.close()


@pytest.fixture
def client(settings: Settings) -> Iterator[Postroom]:
    with Postroom(settings=settings) as client:
        yield client
