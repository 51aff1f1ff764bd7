"""What one task does: its batch, and then whatever is due next, for the length of a slice.

The next batch is taken straight from the dispatcher, in the room that the last one made: a
message for it would cost more than a tenth of sending it, and only come back to this thread.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import structlog

from postroom.broker.publish import Publisher
from postroom.clock import Clock, Sleep
from postroom.dispatch import release
from postroom.errors import (
    PostroomError,
    StoreUnavailableError,
    UnknownCampaignError,
    WorkerUnfitError,
)
from postroom.model import BatchRef, CampaignId
from postroom.store.connection import Step
from postroom.store.dispatch import Dispatch, Route
from postroom.store.handed_out import Taken
from worker.fitness import Fitness
from worker.process.task_result import told
from worker.sending.sender import Sender, Sent
from worker.sending.work import CompiledCampaign

log = structlog.get_logger()

_HANDED_ON_PER_SECOND: Final = 8
"""By one process. On its way back to the queue a batch costs a hundred commands on Redis: 32
slots at four a second took 14,000 a second and two fifths of a core, for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What one task did in its slice."""

    recipients: int
    """SES took so many."""
    told: str
    """How it ended, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLoop:
    """Works for the tasks of one process; its threads share it."""

    worker: str
    sender: Sender
    cache: Callable[[CampaignId], CompiledCampaign]
    dispatch: Dispatch
    publisher: Publisher
    slots: int
    """Of the process."""
    slice_seconds: float
    clock: Clock
    sleep: Sleep
    stopping: Callable[[], bool]
    fitness: Fitness
    tell_end: Callable[[CampaignId], None]
    unknown: deque[CampaignId]
    """The last campaigns of senders that this worker's settings do not know."""

    def work(self, ref: BatchRef) -> Worked:
        """Send one batch and those that are due after it."""
        until = self.clock() + self.slice_seconds
        self._began(ref)
        done = [self._send(ref)]
        steps = self._ending(ref, "", done[-1])
        while not done[-1].handed_on and not self.stopping() and self.clock() < until:
            following = self._next(steps)
            steps = []
            if following is None:
                break
            done.append(self._send(following.ref))
            steps = self._ending(following.ref, following.ticket, done[-1])
        self._release(steps)
        if done[-1].handed_on:
            self._leave_to_others()
        recipients = sum(sent.recipients for sent in done)
        words = told(done[0], batches=len(done), recipients=recipients)
        return Worked(recipients=recipients, told=words)

    def _leave_to_others(self) -> None:
        """Rest, once a batch that this worker cannot send is back in the queue.

        The broker serves those who wait longest first (BRPOP), so while this slot rests the
        batch comes to a fit worker within a few hops, and an idle unfit one does not spin.
        """
        self.sleep(self.slots / _HANDED_ON_PER_SECOND)

    def _send(self, ref: BatchRef) -> Sent:
        structlog.contextvars.bind_contextvars(campaign_id=ref.campaign_id, batch=ref.number)
        sent = Sent(ended="left: Redis was away while the worker stopped")
        try:
            sent = self.sender.send(ref, owner=f"{self.worker}:{uuid4().hex[:12]}")
        except UnknownCampaignError:
            log.info("batch.no_such_campaign")
            sent = Sent(ended="nothing to do: no such campaign")
        except StoreUnavailableError as error:
            log.warning("batch.left", reason=str(error))
        return sent

    def _began(self, ref: BatchRef) -> None:
        """Count the batch of a message as out. Where that fails, its room is lent for a slice."""
        try:
            self.dispatch.began(self._route(ref.campaign_id), ref)
        except PostroomError as error:
            log.info("dispatch.later", reason=str(error))

    def _ending(self, ref: BatchRef, ticket: str, sent: Sent) -> list[Step]:
        """Return what makes room and brings the rest of a batch in line again; tell the end of a
        campaign. `ticket` is what the batch is out under; empty: its own number.

        Where that fails, room is made by time, and the janitor tells.
        """
        if sent.elsewhere:
            return []
        steps: list[Step] = []
        try:
            route = self._route(ref.campaign_id)
            member = ticket or route.member(ref.number)
            steps.append(self.dispatch.ending(route, member, sent=sent.recipients))
            if sent.handed_on and self.fitness.serves(route.account):
                self.unknown.append(ref.campaign_id)
            if sent.due_seconds is not None:
                steps.append(self.dispatch.waking(route, within=sent.due_seconds))
            elif self.cache(ref.campaign_id).on_finish:
                self.tell_end(ref.campaign_id)
        except PostroomError as error:
            log.info("dispatch.later", reason=str(error))
        return steps

    def _route(self, campaign_id: CampaignId) -> Route:
        try:
            return self.cache(campaign_id).route
        except WorkerUnfitError:
            if route := self.dispatch.route(campaign_id):
                return route
            raise

    def _next(self, steps: Sequence[Step]) -> Taken | None:
        try:
            return release.take_one(
                self.dispatch, serves=self.fitness.serving(), but=set(self.unknown), after=steps
            )
        except StoreUnavailableError as error:
            log.info("dispatch.later", reason=str(error))
            return None

    def _release(self, steps: Sequence[Step]) -> None:
        """Fill the room. Where that fails, a tick of any worker fills it."""
        try:
            release.release(self.dispatch, self.publisher, after=steps)
        except StoreUnavailableError as error:
            log.info("dispatch.later", reason=str(error))
