"""The Celery app of the workers: `celery -A worker.app worker` needs no further flag."""

import os
import threading
from typing import Any, Final

import structlog
from celery import Celery, signals
from kombu import Queue

from postroom import logs, settings
from postroom.broker import queues
from postroom.broker.celery_config import Broker, celery_settings, end_well_on_interrupt, keep_quiet
from postroom.errors import BadInputError, StoreUnavailableError, UnsafeStoreError
from worker import runtime, tasks
from worker.process.heartbeat import Heartbeat

log = structlog.get_logger()

try:
    _settings = settings.load()
except BadInputError as error:
    raise SystemExit(f"worker: {error}") from None

app = Celery("worker", amqp=Broker, include=["worker.tasks"])
app.conf.update(
    celery_settings(_settings.redis, queue=queues.BATCHES, slots=_settings.worker.slots),
    task_queues=[Queue(queues.TRANSACTIONAL), Queue(queues.BATCHES)],
)

_heartbeats: Final[list[Heartbeat]] = []
"""The one of this process, once it is ready."""


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    logs.set_up(_settings.log.level)


@signals.worker_init.connect
def _check_before_start(sender: Any, **_: Any) -> None:
    logs.set_up(_settings.log.level)
    keep_quiet(sender)
    try:
        runtime.check(tasks.worker())
    except UnsafeStoreError as error:
        raise SystemExit(f"worker: {error}") from None
    except StoreUnavailableError as error:
        log.warning("redis.away", reason=str(error))


@signals.worker_ready.connect
def _begin_upkeep(sender: Any, **_: Any) -> None:
    end_well_on_interrupt()
    worker = tasks.worker()
    heartbeat = worker.heartbeat(sender.controller.concurrency)
    _heartbeats.append(heartbeat)
    threading.Thread(target=heartbeat.run, name="heartbeat", daemon=True).start()
    for loop in worker.maintenance().loops():
        threading.Thread(target=loop.run, name=loop.name, daemon=True).start()
    log.info("worker.ready", slots={lane.value: room for lane, room in heartbeat.slots.items()})


@signals.worker_shutting_down.connect
def _stop(**_: Any) -> None:
    tasks.stopping.ask()
    # The pool waits for its threads for ever. What is in flight after the grace is in doubt
    # then, exactly as after a kill, and found again by its lease.
    watchdog = threading.Timer(_settings.worker.grace_seconds, os._exit, (1,))
    watchdog.daemon = True
    watchdog.start()
    for heartbeat in _heartbeats:
        heartbeat.retire()


@signals.task_prerun.connect
def _bind(task_id: str, args: Any, **_: Any) -> None:
    structlog.contextvars.clear_contextvars()
    campaign_id, batch = args
    structlog.contextvars.bind_contextvars(task_id=task_id, campaign_id=campaign_id, batch=batch)


@signals.task_postrun.connect
def _unbind(**_: Any) -> None:
    structlog.contextvars.clear_contextvars()
