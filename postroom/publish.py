"""The one place that puts a task on a queue.

A message is a hint and carries ids only: Redis is the truth, and every task may be delivered
twice or not at all.
"""

from collections.abc import Sequence
from typing import Final

import kombu.exceptions
from celery import Celery

from postroom import queues, redis_url
from postroom.errors import StoreUnavailableError
from postroom.model import BatchRef, CampaignId, Lane
from postroom.settings import Redis as RedisSettings


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


class Publisher:
    """Puts tasks on the queues. Raises `StoreUnavailableError` when the broker is away."""

    def __init__(self, settings: RedisSettings) -> None:
        self._app: Final = Celery("postroom", set_as_current=False)
        self._app.conf.update(
            **redis_url.broker(settings.url),
            # Nobody who publishes waits for a message: a half-open connection is given up soon.
            broker_transport_options={
                **transport_options(settings.prefix),
                "socket_timeout": settings.timeout_seconds,
            },
            broker_connection_timeout=settings.timeout_seconds,
            task_ignore_result=True,
            task_send_sent_event=True,
            task_publish_retry=False,
        )

    def split(self, campaign_id: CampaignId) -> None:
        """Ask the producers to cut a campaign into batches."""
        self._send(queues.SPLIT, queues.CAMPAIGNS, [campaign_id], f"<campaign {campaign_id}>")

    def batches(self, refs: Sequence[BatchRef], lane: Lane) -> None:
        """Ask the workers to send these batches."""
        queue = queues.TRANSACTIONAL if lane is Lane.TRANSACTIONAL else queues.BATCHES
        for ref in refs:
            label = f"<campaign {ref.campaign_id} batch {ref.number}>"
            self._send(queues.SEND_BATCH, queue, [ref.campaign_id, ref.number], label)

    def _send(self, task: str, queue: str, args: list[object], label: str) -> None:
        try:
            self._app.send_task(task, args=args, queue=queue, argsrepr=label, ignore_result=True)
        except (kombu.exceptions.OperationalError, OSError) as error:
            raise StoreUnavailableError(f"the broker does not answer: {error}") from None

    def close(self) -> None:
        self._app.close()
