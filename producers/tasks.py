"""The tasks of the `campaigns` queue: ids in, one call."""

import os
import threading
from functools import cache
from hashlib import sha256
from typing import Any, Final

from celery import Task, shared_task
from celery.exceptions import Reject
from celery.worker.request import Request

from postroom import settings
from postroom.broker import queues
from postroom.broker.publish import named
from postroom.errors import RefusedError, StoreUnavailableError
from postroom.health.announcing import OwnProcess
from postroom.model import CampaignId
from postroom.redaction import without_addresses
from postroom.store.connection import Store
from producers.producer import Producer
from producers.retrying import StopRequested
from producers.submit_handler import SubmitHandler

_settings: Final = settings.load()
_building: Final = threading.Lock()
_PAUSE_SECONDS: Final = 5.0
_LONGEST_RESULT: Final = 200

stopping: Final = threading.Event()
process: Final = OwnProcess(_settings)


@cache
def _store(_pid: int) -> Store:
    return Store(_settings.redis, client_name="postroom-producer")


@cache
def _producer(pid: int) -> Producer:
    return Producer(_settings, _store(pid), stopping)


@cache
def _submit_handler(pid: int) -> SubmitHandler:
    return SubmitHandler(_settings, _store(pid))


def store() -> Store:
    """Return the connection of this process; a forked child has its own."""
    with _building:
        return _store(os.getpid())


def producer() -> Producer:
    with _building:
        return _producer(os.getpid())


def submit_handler() -> SubmitHandler:
    with _building:
        return _submit_handler(os.getpid())


@shared_task(name=queues.SPLIT, ignore_result=True)
def split(campaign_id: str) -> str:
    """Cut one campaign into batches. Delivered twice or not at all, it does no harm.

    Returns how it ended, for people who look at Flower.
    """
    try:
        with process.at_work():
            return without_addresses(producer().split(CampaignId(campaign_id)), _LONGEST_RESULT)
    except StopRequested as error:
        # Not published anew: the last message that a stopping worker takes could be that one.
        raise Reject(str(error), requeue=True) from None


class SubmitRequest(Request):
    """A submit as logs and Flower may show it, whatever its publisher says of its arguments.

    They hold templates, merge fields, addresses and the key by which it is told from others.
    """

    def __init__(self, message: Any, **options: Any) -> None:
        super().__init__(message, **options)
        given = [*(self.args or ()), *(self.kwargs or {}).values()]
        campaign = next((one for one in given if isinstance(one, dict)), {})
        key = (self.kwargs or {}).get("key") or (self.args or ())[2:3]
        self._argsrepr = f"<campaign{named(str(campaign.get('name') or ''))}{_hashed(key)}>"
        self._kwargsrepr = "{}"
        self.request_dict.update(argsrepr=self._argsrepr, kwargsrepr=self._kwargsrepr)


class SubmitTask(Task[Any, Any]):
    Request = f"{__name__}:SubmitRequest"


def _hashed(key: object) -> str:
    return f" key #{sha256(repr(key).encode()).hexdigest()[:8]}" if key else ""


@shared_task(name=queues.SUBMIT, base=SubmitTask, bind=True, ignore_result=True)
def submit(
    self: Task[Any, Any],
    campaign: dict[str, Any],
    recipients: str | list[Any],
    key: str | None = None,
) -> str:
    """Submit a campaign whose recipients a producer can read, or are a list of up to 1,000.

    The task's id is the spare key.
    """
    try:
        with process.at_work():
            return submit_handler().submit(campaign, recipients, key or f"task:{self.request.id}")
    except (StoreUnavailableError, RefusedError) as error:
        stopping.wait(_PAUSE_SECONDS)
        raise Reject(str(error), requeue=True) from None
