"""The pytest plugin. It is loaded wherever Postroom is installed: all else is imported later."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from postroom.testing.in_process import PostroomHere
    from postroom.testing.session import Session
    from postroom.testing.stack import PostroomStack


@pytest.fixture(scope="session")
def postroom_senders() -> Mapping[str, str]:
    """The senders that campaigns may name, with their From; override it in conftest.py."""
    return {"news": "Postroom Test <news@shop.example.com>"}


@pytest.fixture(scope="session")
def _postroom_session(
    tmp_path_factory: pytest.TempPathFactory, postroom_senders: Mapping[str, str]
) -> "Iterator[Session]":
    from postroom.testing.session import started

    with ExitStack() as stack:
        yield started(stack, tmp_path_factory.mktemp("postroom"), postroom_senders)


@pytest.fixture
def postroom(
    _postroom_session: "Session", monkeypatch: pytest.MonkeyPatch
) -> "Iterator[PostroomHere]":
    """Client, producer, worker and local SES in this process, on an empty Redis of its own.

    `postroom.client` submits, `postroom.outbox` has the mails; see docs/testing.md.
    """
    from postroom.testing.environment import replaced

    replaced(monkeypatch.setenv, monkeypatch.delenv, _postroom_session.environ)
    here = _postroom_session.afresh()
    yield here
    here.close()


@pytest.fixture
def postroom_stack(
    tmp_path_factory: pytest.TempPathFactory,
    postroom_senders: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> "Iterator[PostroomStack]":
    """The same with real Celery processes, which start for this one test: some seconds."""
    from postroom.localstack.stack import LocalStack, Shape
    from postroom.testing.environment import clean, replaced, written
    from postroom.testing.stack import PostroomStack

    config = written(tmp_path_factory.mktemp("postroom"), postroom_senders)
    with LocalStack(Shape(), environ={**clean(), "POSTROOM_CONFIG": str(config)}) as running:
        replaced(monkeypatch.setenv, monkeypatch.delenv, running.environ)
        post = PostroomStack(running)
        yield post
        post.close()
