"""What one task does: its batch, and then whatever is due next, for the length of a slice.

The next batch is taken straight from the dispatcher, in the room that the last one made: a
message for it would cost more than a tenth of sending it, and only come back to this thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import structlog

from postroom import release
from postroom.clock import Clock
from postroom.errors import PostroomError, StoreUnavailableError, UnknownCampaignError
from postroom.model import BatchRef, CampaignId
from postroom.publish import Publisher
from postroom.store.dispatch import Dispatch
from worker.calls import Posting
from worker.sender import Sender, Sent

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Works for the tasks of one process; its threads share it."""

    worker: str
    sender: Sender
    postings: Callable[[CampaignId], Posting]
    dispatch: Dispatch
    publisher: Publisher
    slice_seconds: float
    clock: Clock
    stopping: Callable[[], bool]

    def work(self, ref: BatchRef) -> int:
        """Send one batch and those that are due after it. Returns recipients that SES took."""
        until = self.clock() + self.slice_seconds
        recipients = 0
        following: BatchRef | None = ref
        while following is not None:
            recipients += self._send(following)
            more = not self.stopping() and self.clock() < until
            following = self._next() if more else None
        self._release()
        return recipients

    def _send(self, ref: BatchRef) -> int:
        structlog.contextvars.bind_contextvars(campaign_id=ref.campaign_id, batch=ref.number)
        sent = Sent()
        try:
            sent = self.sender.send(ref, owner=f"{self.worker}:{uuid4().hex[:12]}")
        except UnknownCampaignError:
            log.info("batch.no_such_campaign")
        except StoreUnavailableError as error:
            log.warning("batch.left", reason=str(error))
        if not sent.elsewhere:
            self._ended(ref, sent)
        return sent.recipients

    def _ended(self, ref: BatchRef, sent: Sent) -> None:
        """Make room. Where that fails, room is made by time."""
        try:
            route = self.postings(ref.campaign_id).route
            self.dispatch.ended(route, ref, sent=sent.recipients)
            if sent.more:
                self.dispatch.wake(route)
        except PostroomError as error:
            log.info("dispatch.later", reason=str(error))

    def _next(self) -> BatchRef | None:
        try:
            return release.take_one(self.dispatch)
        except StoreUnavailableError as error:
            log.info("dispatch.later", reason=str(error))
            return None

    def _release(self) -> None:
        """Fill the room. Where that fails, a tick of any worker fills it."""
        try:
            release.release(self.dispatch, self.publisher)
        except StoreUnavailableError as error:
            log.info("dispatch.later", reason=str(error))
