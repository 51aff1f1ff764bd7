"""The one place that puts a task on a queue.

A message is a hint and carries ids only: Redis is the truth, and every task may be delivered
twice or not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final

from postroom import redis_url
from postroom.broker import queues
from postroom.errors import StoreUnavailableError
from postroom.model import BatchRef, CampaignId, Lane, OnFinish, State, Totals
from postroom.redaction import without_addresses
from postroom.settings import Redis as RedisSettings

if TYPE_CHECKING:
    from celery import Celery


def transport_options(prefix: str) -> dict[str, object]:
    """How kombu speaks to Redis, the same for whoever publishes and whoever consumes."""
    return {
        "global_keyprefix": f"{prefix}celery:",
        # A second net only: the leases find what a dead worker held, and much sooner.
        "visibility_timeout": 900,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        # One list a queue, so that its length is the truth.
        "priority_steps": [0],
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }


_LONGEST_NAME: Final = 60


def named(name: str) -> str:
    """Return a campaign's name as Flower and logs may show it, after a blank: never an address."""
    short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return f" {without_addresses(short)!r}" if name else ""


class Publisher:
    """Puts tasks on the queues. Raises `StoreUnavailableError` when the broker is away.

    Celery is loaded with the first task: who only asks how a campaign stands needs none of it.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._broker: Final = redis_url.broker(settings.url)
        self._settings: Final = settings
        self._loading: Final = Lock()
        self._apps: Final[dict[str | None, Celery]] = {}

    def split(self, campaign_id: CampaignId, name: str = "") -> None:
        """Ask the producers to cut a campaign into batches; `name` is for people."""
        label = f"<campaign {campaign_id}{named(name)}>"
        self._send(queues.SPLIT, queues.CAMPAIGNS, [campaign_id], label)

    def batches(self, refs: Sequence[BatchRef], lane: Lane, name: str = "") -> None:
        """Ask the workers to send these batches of one campaign; its `name` is for people."""
        queue = queues.TRANSACTIONAL if lane is Lane.TRANSACTIONAL else queues.BATCHES
        for ref in refs:
            label = f"<campaign {ref.campaign_id} batch {ref.number}{named(name)}>"
            self._send(queues.SEND_BATCH, queue, [ref.campaign_id, ref.number], label)

    def finished(
        self, on_finish: OnFinish, campaign_id: CampaignId, state: State, totals: Totals
    ) -> None:
        """Tell a service that its campaign is over: ids and counts, no address.

        The task has the same id each time, so that a repeat is known as one.
        """
        record = {"state": state.value, **asdict(totals)}
        label = f"<campaign {campaign_id} {state.value}>"
        send = partial(self._app(on_finish.prefix).send_task, task_id=f"{campaign_id}-over")
        _published(send, on_finish.task, on_finish.queue, [campaign_id, record], label)

    def _send(self, task: str, queue: str, args: list[object], label: str) -> None:
        _published(self._app().send_task, task, queue, args, label)

    def close(self) -> None:
        with self._loading:
            for app in self._apps.values():
                app.close()

    def _app(self, foreign: str | None = None) -> "Celery":
        """Return our Celery, or how a service's own with this prefix speaks to the same broker."""
        with self._loading:
            if foreign not in self._apps:
                transport = transport_options(self._settings.prefix)
                if foreign is not None:
                    transport = {**transport_options(""), "global_keyprefix": foreign}
                self._apps[foreign] = self._celery(transport)
            return self._apps[foreign]

    def _celery(self, transport: Mapping[str, object]) -> "Celery":
        from celery import Celery

        app = Celery("postroom", set_as_current=False)
        app.conf.update(
            **self._broker,
            # Nobody who publishes waits for a message: a half-open connection is given up soon.
            broker_transport_options={
                **transport,
                "socket_timeout": self._settings.timeout_seconds,
            },
            broker_connection_timeout=self._settings.timeout_seconds,
            task_ignore_result=True,
            task_send_sent_event=True,
            task_publish_retry=False,
        )
        return app


def _published(
    send: Callable[..., object], task: str, queue: str, args: list[object], label: str
) -> None:
    from kombu.exceptions import OperationalError

    try:
        send(task, args=args, queue=queue, argsrepr=label, ignore_result=True)
    except (OperationalError, OSError) as error:
        raise StoreUnavailableError(f"the broker does not answer: {error}") from None
