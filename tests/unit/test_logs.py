"""Logs are one JSON object a line, and hold no addresses, whoever wrote them."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from postroom import logs


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    logs.set_up("INFO")
    yield stream
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_of_ours_and_a_line_of_a_library_look_alike(written: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(campaign_id="c1")
    structlog.get_logger("t").info("split.done", batches=3)
    logging.getLogger("celery").warning("late by %s s", 3)
    ours, theirs = lines(written)
    assert (ours["event"], ours["batches"], ours["campaign_id"]) == ("split.done", 3, "c1")
    assert (theirs["event"], theirs["level"], theirs["campaign_id"]) == (
        "late by 3 s",
        "warning",
        "c1",
    )


def test_addresses_are_taken_out_everywhere(written: io.StringIO) -> None:
    structlog.get_logger("t").info("a", to="ann@example.com", many=["bob@example.com", 1])
    logging.getLogger("celery").info("for %s", "<ann@example.com>")
    try:
        int("ann@example.com")
    except ValueError:
        logging.getLogger("celery").exception("failed")
    assert len(lines(written)) == 3
    assert "example.com" not in written.getvalue()
    assert "[address]" in written.getvalue()


def test_a_line_of_celery_says_a_thing_once(written: io.StringIO) -> None:
    task = {"id": "7f", "name": "postroom.split", "args": "<campaign c1 'Autumn'>", "kwargs": "{}"}
    of_celery = logging.getLogger("celery.worker.strategy")
    of_celery.info("Task %(name)s[%(id)s] received", task, extra={"data": task})
    logging.getLogger("kombu").info("read", extra={"data": 3})
    received, other = lines(written)
    assert received["args"] == "<campaign c1 'Autumn'>"
    assert "data" not in received
    assert other["data"] == 3


def test_the_name_of_a_celery_worker_is_no_address(written: io.StringIO) -> None:
    logging.getLogger("celery").info("celery@host-1 ready")
    assert lines(written)[0]["event"] == "celery@host-1 ready"


def test_what_is_below_the_level_is_not_written(written: io.StringIO) -> None:
    structlog.get_logger("t").debug("a")
    logging.getLogger("celery").debug("b")
    assert written.getvalue() == ""


def test_the_requests_of_the_sdk_are_never_written_down(
    written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", written)
    logs.set_up("DEBUG")
    logging.getLogger("postroom.t").debug("ours")
    logging.getLogger("botocore.auth").debug("x-amz-security-token:%s", "still good")
    assert [line["event"] for line in lines(written)] == ["ours"]
