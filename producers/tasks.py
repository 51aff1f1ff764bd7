"""The tasks of the `campaigns` queue: ids in, one call."""

import os
import threading
from functools import cache
from typing import Any, Final

from celery import Task, shared_task
from celery.exceptions import Reject

from postroom import queues, settings
from postroom.errors import RefusedError, StoreUnavailableError
from postroom.model import CampaignId
from postroom.store.connection import Store
from producers.patience import StopRequested
from producers.producer import Producer
from producers.reception import Reception

_settings: Final = settings.load()
_building: Final = threading.Lock()
_PAUSE_SECONDS: Final = 5.0

stopping: Final = threading.Event()


@cache
def _store(_pid: int) -> Store:
    return Store(_settings.redis, client_name="postroom-producer")


@cache
def _producer(pid: int) -> Producer:
    return Producer(_settings, _store(pid), stopping)


@cache
def _reception(pid: int) -> Reception:
    return Reception(_settings, _store(pid))


def store() -> Store:
    """Return the connection of this process; a forked child has its own."""
    with _building:
        return _store(os.getpid())


def producer() -> Producer:
    with _building:
        return _producer(os.getpid())


def reception() -> Reception:
    with _building:
        return _reception(os.getpid())


@shared_task(name=queues.SPLIT, ignore_result=True)
def split(campaign_id: str) -> None:
    """Cut one campaign into batches. Delivered twice or not at all, it does no harm."""
    try:
        producer().split(CampaignId(campaign_id))
    except StopRequested as error:
        # Not published anew: the last message that a stopping worker takes could be that one.
        raise Reject(str(error), requeue=True) from None


@shared_task(name=queues.SUBMIT, bind=True, ignore_result=True)
def submit(
    self: Task[Any, Any],
    campaign: dict[str, Any],
    recipients: str | list[Any],
    key: str | None = None,
) -> None:
    """Submit a campaign whose recipients a producer can read, or are a list of up to 1,000.

    The task's id is the spare key.
    """
    try:
        reception().submit(campaign, recipients, key or f"task:{self.request.id}")
    except (StoreUnavailableError, RefusedError) as error:
        stopping.wait(_PAUSE_SECONDS)
        raise Reject(str(error), requeue=True) from None
