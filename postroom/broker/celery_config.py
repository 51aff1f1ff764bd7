"""How our Celery workers are set up: every setting with its reason, for producers and workers.

Celery accepts a misspelt setting in silence, so a test holds each key here against Celery's and
kombu's own lists.
"""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Protocol

import kombu
import structlog
from celery.app.amqp import AMQP
from celery.worker import consumer
from kombu import Queue

from postroom import redis_url
from postroom.broker.publish import transport_options
from postroom.settings import Redis

log = structlog.get_logger()

_SENSELESS: Final = (AttributeError, LookupError, TypeError, ValueError)


class StartingWorker(Protocol):
    """A Celery worker as `worker_init` hands it over: before its parts are built."""

    options: dict[str, Any]


class Connection(kombu.Connection):
    """A connection whose end never ends the worker.

    kombu 5.7.0 leaves a channel open when the read of its pending BRPOP fails while it is being
    closed, as it does when Redis is killed. The first acknowledgement afterwards then meets an
    AttributeError, and the worker dies. Asked again, the channel closes as it should.
    """

    def maybe_close_channel(self, channel: Any) -> None:
        super().maybe_close_channel(channel)
        if not channel.closed:
            super().maybe_close_channel(channel)


class Broker(AMQP):
    """Celery's door to the broker, over our connections."""

    Connection = Connection


class Consumer(consumer.Consumer):
    """Drops a message that makes no sense, whoever put it there.

    Celery 5.7.0 does so for what cannot be decoded. A body that is well decoded and is no task
    ends the worker, gives the message back, and so ends the next one.
    """

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        handle = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Any) -> None:
            try:
                handle(message)
            except _SENSELESS as error:
                # Not its body: there may be addresses in it.
                log.error("message.senseless", reason=type(error).__name__)
                message.ack_log_error(log, ())

        return on_task_received


def celery_settings(redis: Redis, *, queue: str, slots: int) -> dict[str, Any]:
    """Return the settings of a Celery worker that takes `slots` tasks of one queue at a time."""
    return {**_broker(redis, queue), **_delivery(), **_shape(queue, slots), **_messages()}


def keep_quiet(worker: StartingWorker) -> None:
    """Switch off the chatter between workers, which nothing here uses.

    As `celery worker --without-gossip --without-mingle` does; there is no setting for it.
    Call it on the signal `worker_init`.
    """
    worker.options.update(without_gossip=True, without_mingle=True)


def end_well_on_interrupt() -> None:
    """Let the first Ctrl-C be a SIGTERM: Celery's own ends with 1, as if something had failed.

    The second one is Celery's again. Call it on the signal `worker_ready`.
    """
    celerys = signal.getsignal(signal.SIGINT)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, celerys)
        signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGINT, interrupt)


def _broker(redis: Redis, queue: str) -> dict[str, Any]:
    return {
        **redis_url.broker(redis.url),
        "broker_transport_options": {
            **transport_options(redis.prefix),
            "client_name": f"postroom-{queue}",
        },
        # Redis may start after us, fail over, be full, or be away for an hour: always come back.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "broker_pool_limit": 10,
        "broker_pool_acquire_timeout": 30,
    }


def _delivery() -> dict[str, Any]:
    return {
        # Nobody reads results: the ledger on Redis has them.
        "result_backend": None,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        # Acknowledged when done: a worker that dies leaves its message to be found again.
        "task_acks_late": True,
        # One message for each slot, also after a reconnect; the others stay for other workers.
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "worker_enable_prefetch_count_reduction": True,
        # A task that raised is not tried again by the broker: leases and the janitor do that.
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        # For the prefork pool: a child that was killed gives its message back.
        "task_reject_on_worker_lost": True,
        # A second copy under a lease does no harm; SystemExit in the middle of a call would.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
    }


def _shape(queue: str, slots: int) -> dict[str, Any]:
    return {
        # Both kinds of task wait for the network, and a thread can see the shutdown coming.
        "worker_pool": "threads",
        "worker_concurrency": slots,
        "worker_consumer": f"{__name__}:Consumer",
        # This queue and no other: a misspelt name raises, where Celery would make a queue of it.
        "task_queues": [Queue(queue)],
        "task_default_queue": queue,
        "task_create_missing_queues": False,
    }


def _messages() -> dict[str, Any]:
    return {
        # Nothing but JSON is read from the broker.
        "task_serializer": "json",
        "accept_content": ["json"],
        "event_serializer": "json",
        # For Flower. A task is a batch or a campaign, so these cost next to nothing.
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "task_repr_maxlevels": 1,
        # Logs are ours: see postroom/logs.py.
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "enable_utc": True,
        "timezone": "UTC",
    }
