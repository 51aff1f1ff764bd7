"""The tasks of the `batches` and `transactional` queues: ids in, one call."""

import os
import threading
from functools import cache
from typing import Final

from celery import shared_task

from postroom import clock, settings
from postroom.broker import queues
from postroom.model import BatchRef, CampaignId
from worker.runtime import Worker, build
from worker.stopping import Stopping

_settings: Final = settings.load()
stopping: Final = Stopping(clock.monotonic, grace_seconds=_settings.worker.grace_seconds)
_building: Final = threading.Lock()


def worker() -> Worker:
    """Return the worker of this process; a forked child builds its own."""
    with _building:
        return _worker(os.getpid())


@cache
def _worker(_pid: int) -> Worker:
    return build(_settings, stopping=stopping)


@shared_task(name=queues.SEND_BATCH, ignore_result=True)
def send_batch(campaign_id: str, batch_number: int) -> str:
    """Send what is open in one batch. Delivered twice or not at all, it does no harm.

    Returns how it ended, for people who look at Flower.
    """
    ref = BatchRef(campaign_id=CampaignId(campaign_id), number=batch_number)
    return worker().work(ref).told
