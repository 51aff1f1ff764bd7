"""What Flower and the logs are told of tasks: how they ended, and nothing that is secret."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from postroom.broker import queues
from postroom.broker.publish import transport_options
from postroom.model import State
from tests.chaos.rig import Rig, Shape
from tests.support.waiting import wait_until

SECRETS = ("LAUNCHCODE", "jane.doe", "the-secret-key")


@pytest.fixture
def rig() -> Iterator[Rig]:
    environ = {"POSTROOM_PRODUCER__SOURCE_FOLDER": "/"}
    with Rig(Shape(workers=1, producers=1, slots=4, environ=environ)) as rig:
        yield rig


@pytest.fixture
def app(rig: Rig) -> Iterator[Celery]:
    """A service that has Celery and not Postroom."""
    app = Celery("stranger", broker=rig.settings.redis.url, set_as_current=False)
    app.conf.broker_transport_options = transport_options(rig.settings.redis.prefix)
    yield app
    app.close()


@pytest.fixture
def events(rig: Rig, app: Celery) -> Iterator[list[dict[str, Any]]]:
    seen: list[dict[str, Any]] = []
    stop = threading.Event()

    def listen() -> None:
        with app.connection() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": seen.append})
            while not stop.is_set():
                try:
                    receiver.capture(limit=None, timeout=1, wakeup=False)
                except TimeoutError:
                    continue

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    wait_until(lambda: seen, "the events are heard")
    yield seen
    stop.set()
    thread.join(10)


def test_tasks_tell_how_they_ended_and_no_secret_of_a_submit(
    rig: Rig, app: Celery, events: list[dict[str, Any]], tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    rows = "".join(f"user{at}@example.org\n" for at in range(120))
    people.write_text(f"email\n{rows}jane.doe@example.org\n")
    campaign = {
        "name": "Autumn",
        "sender": "news",
        "subject": "LAUNCHCODE-99",
        "text": "Dear",
        "defaults": {"who": "jane.doe@example.com"},
    }
    app.send_task(
        queues.SUBMIT,
        args=[campaign, people.as_uri()],
        kwargs={"key": "the-secret-key"},
        queue=queues.CAMPAIGNS,
    )
    wait_until(
        lambda: [one for one in rig.post.list() if one.state is State.FINISHED], "it is finished"
    )
    ended: dict[str, str] = {}

    def heard() -> bool:
        received = {one["uuid"]: one for one in events if one["type"] == "task-received"}
        ended.update(
            (received[one["uuid"]]["name"], one["result"])
            for one in events
            if one["type"] == "task-succeeded" and one["uuid"] in received
        )
        return len(ended) == 3

    wait_until(heard, "three tasks have ended")
    assert "sent 121" in ended[queues.SEND_BATCH]
    assert "split" in ended[queues.SPLIT]
    assert "submitted: c" in ended[queues.SUBMIT]
    args = {one["name"]: one["args"] for one in events if one["type"] == "task-received"}
    assert args[queues.SUBMIT].startswith("<campaign 'Autumn' key #")
    assert "'Autumn'" in args[queues.SEND_BATCH]
    assert "'Autumn'" in args[queues.SPLIT]
    logs = rig.keep_logs(tmp_path / "logs")
    said = "".join(
        path.read_text(errors="replace")
        for path in logs.rglob("*")
        if path.is_file() and "redis" not in str(path) and "simulator" not in str(path)
    )
    assert "Autumn" in said
    for secret in SECRETS:
        assert secret not in repr(events)
        assert secret not in said
