"""Sends one batch, over ports: claims it, calls SES until batch or slice is over, leaves it.

Before a call its recipients are written as `sending`, after it each gets its outcome, so a
crash leaves at most the calls in flight in doubt. Whatever ends early parks the rest.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from postroom.clock import Clock
from postroom.errors import (
    AccountHaltedError,
    BudgetExhaustedError,
    CampaignStoppedError,
    KeepsFailingError,
    LeaseLostError,
    NeedsPersonError,
    NewerFormatError,
    WorkerUnfitError,
)
from postroom.model import BatchRef, CampaignId, SenderName
from postroom.store.handed_out import PACE_SECONDS
from postroom.store.ledger import Claim, NotClaimed
from worker.account.feedback import AccountFeedback
from worker.account.retrying import RetryingLedger
from worker.sending.calls import Caller
from worker.sending.work import CompiledCampaign, Work

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of one task."""

    recipients: int = 0
    """SES took so many."""
    more: bool = False
    """The slice is over and the batch is not: its campaign may have its next turn at once."""
    elsewhere: bool = False
    """Another run holds the batch: its room at the dispatcher is not ours to give back."""
    handed_on: bool = False
    """This worker cannot send it: others are to have it at once."""
    ended: str = ""
    """What ended it, for people; empty: nothing of the batch is open any more."""
    rest_seconds: float = 0.0
    """How long it is left alone, where that is known."""
    of: int = 0
    """Recipients that were open when it began."""
    due_seconds: float | None = None
    """When what is left of it is due again: somebody must wake its campaign for it. None: nothing
    is left, its campaign may not send, or whoever released it looks at it again anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Sends batches; one a process, used by all of its threads."""

    books: RetryingLedger
    accounts: AccountFeedback
    caller: Caller
    cache: Callable[[CampaignId], CompiledCampaign]
    check_meaning: Callable[[CampaignId, SenderName, str], None]
    """Raises `WorkerUnfitError` where the sender means something else than the campaign's."""
    park_seconds: float
    slice_seconds: float
    clock: Clock
    stopping: Callable[[], bool]

    def send(self, ref: BatchRef, *, owner: str) -> Sent:
        """Send what is open in one batch, for the length of a slice.

        Safe to call for any batch at any time: one that is somebody else's, done, gone or not
        wanted now is left alone. `owner` names this run; another run has another name.
        Raises `StoreUnavailableError` only when the process stops while Redis is away, and what
        `postings` raises.
        """
        try:
            compiled = self.cache(ref.campaign_id)
            self.accounts.check_fit(compiled.route.account)
            claim = self.books.claim(ref, owner=owner)
        except NotClaimed as answer:
            self._not_claimed(ref, answer)
            return Sent(elsewhere=answer.why == "busy", ended=_unclaimed(answer))
        except WorkerUnfitError as trouble:
            return self._hand_on(ref, owner, trouble)
        except NeedsPersonError as fault:
            self._halt(ref.campaign_id, fault)
            return Sent(ended=f"halted: {fault}")
        except NewerFormatError as refusal:
            log.error("campaign.newer_format", reason=str(refusal))
            return Sent(ended=f"left to others: {refusal}")
        return self._send_claimed(claim, compiled, owner)

    def _send_claimed(self, claim: Claim, compiled: CompiledCampaign, owner: str) -> Sent:
        try:
            recipients = compiled.decode(claim)
        except NewerFormatError as refusal:
            log.error("batch.newer_format", reason=str(refusal))
            self.books.leave(claim, wake_seconds=self.park_seconds)
            return Sent(ended=f"left to others: {refusal}", due_seconds=self.park_seconds)
        work = Work(claim, owner, compiled, recipients, claim.open())
        of = len(work.open)
        try:
            self.check_meaning(claim.ref.campaign_id, compiled.sender, claim.bound)
            more = self._work_off(work)
        except WorkerUnfitError as trouble:
            return self._handed_on(work.claim, trouble, work.sent)
        except LeaseLostError:
            log.warning("batch.lease_lost")
            return Sent(recipients=work.sent, elsewhere=True, ended="its lease was lost", of=of)
        return Sent(
            recipients=work.sent,
            more=more,
            ended=work.ended,
            rest_seconds=work.rest_seconds,
            of=of,
            due_seconds=work.due_seconds,
        )

    def _hand_on(self, ref: BatchRef, owner: str, trouble: WorkerUnfitError) -> Sent:
        """Have a batch due at once, that was put off when it was released to this worker."""
        try:
            claim = self.books.claim(ref, owner=owner)
        except NotClaimed as answer:
            self._not_claimed(ref, answer)
            return Sent(elsewhere=answer.why == "busy", ended=_unclaimed(answer))
        return self._handed_on(claim, trouble, 0)

    def _handed_on(self, claim: Claim, trouble: WorkerUnfitError, sent: int) -> Sent:
        # What a sender means here is no news with each batch: `worker.unfit` has told of it.
        tell = log.debug if trouble.sender else log.info
        tell("batch.handed_on", reason=str(trouble))
        if trouble.sender and self.accounts.nobody_can(trouble):
            self._halt(claim.ref.campaign_id, NeedsPersonError(f"on every worker: {trouble}"))
        with suppress(LeaseLostError):
            self.books.leave(claim)
        ended = f"left to others: {trouble}"
        return Sent(recipients=sent, handed_on=True, ended=ended, due_seconds=0.0)

    def _not_claimed(self, ref: BatchRef, answer: NotClaimed) -> None:
        log.info("batch.not_claimed", reason=answer.why, detail=answer.detail)
        if answer.why == "poison":
            reason = (
                f"batch {ref.number} was taken {answer.detail} times by workers that died of it"
            )
            self.books.halt(ref.campaign_id, reason)

    def _work_off(self, work: Work) -> bool:
        """Call until the batch or the slice is over; True when the batch may go on at once.

        Leaves in `work` what ended it.
        """
        wake_seconds, tries_spent = 0.0, False
        work.due_seconds = 0.0
        try:
            self._call_until_done(work)
            done = self.books.leave(work.claim)
        except BudgetExhaustedError as wait:
            # The account rests, not the batch: it goes on as soon as the account is let go.
            self.accounts.hold(work.compiled.route.account, work.compiled.route.lane, wait)
            tell = log.info if wait.seconds > PACE_SECONDS else log.debug
            tell("batch.parked", reason=wait.reason, seconds=round(wait.seconds, 1))
            work.ended, work.rest_seconds = f"parked: {wait.reason}", wait.seconds
        except AccountHaltedError as halt:
            self.accounts.hold_halted(work.compiled.route.account, str(halt))
            log.info("batch.parked", reason=str(halt))
            work.ended = f"parked: the account is halted: {halt}"
        except KeepsFailingError as fault:
            log.warning("batch.parked", reason=str(fault), seconds=self.park_seconds)
            self.accounts.parks(work.claim.ref.campaign_id, str(fault))
            wake_seconds, tries_spent = self.park_seconds, True
            work.due_seconds = self.park_seconds
            work.ended, work.rest_seconds = f"parked: {fault}", self.park_seconds
        except NeedsPersonError as fault:
            self._halt(work.claim.ref.campaign_id, fault)
            work.due_seconds = None
            work.ended = f"halted: {fault}"
        except CampaignStoppedError:
            log.info("batch.stopped")
            work.due_seconds = None
            work.ended = "stopped: the campaign may not send now"
        else:
            work.ended = "" if done else "slice over"
            work.due_seconds = None if done else 0.0
            return not done
        self.books.leave(work.claim, wake_seconds=wake_seconds, tries_spent=tries_spent)
        return False

    def _call_until_done(self, work: Work) -> None:
        until = self.clock() + self.slice_seconds
        while work.open and self.clock() < until and not self.stopping():
            self.caller.call(work)

    def _halt(self, campaign_id: CampaignId, fault: NeedsPersonError) -> None:
        if self.books.halt(campaign_id, str(fault)):
            log.error("campaign.halted", reason=str(fault))


def _unclaimed(answer: NotClaimed) -> str:
    return f"nothing to do: {answer.why} {answer.detail}".rstrip()
