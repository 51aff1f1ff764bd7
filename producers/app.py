"""The Celery app of the producers: `celery -A producers.app worker` needs no further flag."""

import gc
import threading
from typing import Any

import structlog
from celery import Celery, signals

from postroom import logs, remedies, settings
from postroom.broker import queues
from postroom.broker.celery_config import Broker, celery_settings, end_well_on_interrupt, keep_quiet
from postroom.errors import BadInputError, StoreUnavailableError, UnsafeStoreError
from postroom.store.connection import check_safety
from postroom.store.sender_registry import SenderRegistry
from producers import tasks
from producers.heartbeat import Heartbeat

log = structlog.get_logger()

try:
    _settings = settings.load()
except BadInputError as error:
    raise SystemExit(f"producer: {error}") from None

app = Celery("producers", amqp=Broker, include=["producers.tasks"])
app.conf.update(
    celery_settings(_settings.redis, queue=queues.CAMPAIGNS, slots=_settings.producer.slots)
)


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    logs.set_up(_settings.log.level)


@signals.worker_init.connect
def _check_before_start(sender: Any, **_: Any) -> None:
    keep_quiet(sender)
    # Rows come and go by the thousand and are in no cycles: looking for cycles each 700 objects
    # takes a quarter of all that intake takes.
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
    try:
        for warning in check_safety(tasks.store(), _settings.redis):
            command = remedies.redis_config(_settings.redis.url, "appendonly yes")
            log.warning("redis.unsafe", reason=warning, command=command)
        SenderRegistry(tasks.store()).announce(_settings.senders)
    except UnsafeStoreError as error:
        raise SystemExit(f"producer: {error}") from None
    except StoreUnavailableError as error:
        log.warning("redis.away", reason=str(error))


@signals.worker_ready.connect
def _announce(sender: Any, **_: Any) -> None:
    """Redis answers now, if it did not before."""
    end_well_on_interrupt()
    slots = sender.controller.concurrency
    heartbeat = Heartbeat(tasks.store(), _settings, tasks.process, slots)
    threading.Thread(
        target=heartbeat.run, args=[tasks.stopping], name="heartbeat", daemon=True
    ).start()
    try:
        SenderRegistry(tasks.store()).announce(_settings.senders)
    except StoreUnavailableError as error:
        log.warning("redis.away", reason=str(error))
    log.info("producer.ready", senders=sorted(_settings.senders))


@signals.worker_shutting_down.connect
def _stop(**_: Any) -> None:
    tasks.stopping.set()


@signals.task_prerun.connect
def _bind(task_id: str, args: Any, task: Any, **_: Any) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task_id=task_id)
    if task.name == queues.SPLIT:
        structlog.contextvars.bind_contextvars(campaign_id=args[0])


@signals.task_postrun.connect
def _unbind(**_: Any) -> None:
    structlog.contextvars.clear_contextvars()
