"""Sends one batch, over ports: claims it, asks the budget, calls SES, settles every call.

Before a call its recipients are written as `sending`, after it each gets its outcome, so a
crash leaves at most the calls in flight in doubt. Whatever ends early parks the rest.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from postroom.clock import Clock, Sleep
from postroom.errors import (
    BudgetExhaustedError,
    CampaignStoppedError,
    KeepsFailingError,
    LeaseLostError,
    NeedsPersonError,
    NewerFormatError,
)
from postroom.model import (
    AccountName,
    BatchRef,
    CampaignId,
    Lane,
    OnAmbiguous,
    Outcome,
    Recipient,
    Settled,
)
from postroom.settings import Retry
from postroom.store.budget import Grant
from postroom.store.dispatch import Route
from postroom.store.ledger import Claim, NotClaimed
from postroom.wire import decode_batch
from worker.delivery import Call, Delivery
from worker.limiter import Limiter
from worker.outcome import COUNTED, outcome_of
from worker.retry import backoff_seconds
from worker.ses.verdict import Kind, Verdict

log = structlog.get_logger()

_FAILURES: Final = frozenset({Kind.TRANSIENT, Kind.AMBIGUOUS, Kind.BULK_THROTTLED})


class Books(Protocol):
    """The ledger, as far as the sender writes it. Redis being away is waited out behind it."""

    def claim(self, ref: BatchRef, *, owner: str) -> Claim: ...
    def begin(self, claim: Claim, indexes: Sequence[int]) -> None: ...
    def settle(self, claim: Claim, settled: Iterable[Settled]) -> None: ...
    def leave(
        self, claim: Claim, *, wake_seconds: float = 0.0, tries_spent: bool = False
    ) -> bool: ...
    def halt(self, campaign_id: CampaignId, reason: str) -> bool: ...


class Accounts(Protocol):
    """What the sender tells of an account."""

    def settle(self, account: AccountName, grant: Grant, *, counted: int, unsent: int) -> None: ...
    def throttled(self, account: AccountName, *, refused: int) -> None: ...
    def quota_spent(self, account: AccountName) -> BudgetExhaustedError: ...
    def hold(self, account: AccountName, lane: Lane, wait: BudgetExhaustedError) -> None: ...
    def halt(self, account: AccountName, reason: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """All that is needed to send for one campaign; compiled once a process."""

    route: Route
    on_ambiguous: OnAmbiguous
    delivery: Delivery


@dataclass(slots=True)
class _Work:
    """One task's work on one batch."""

    claim: Claim
    owner: str
    posting: Posting
    recipients: tuple[Recipient, ...]
    open: list[int]
    sent: int = 0
    failures: int = 0
    """Calls in a row that brought nothing but faults of SES."""

    def next(self, count: int) -> list[tuple[int, Recipient]]:
        return [(index, self.recipients[index]) for index in self.open[:count]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Sends batches; one a process, used by all of its threads."""

    books: Books
    accounts: Accounts
    limiter: Limiter
    postings: Callable[[CampaignId], Posting]
    retry: Retry
    slice_seconds: float
    clock: Clock
    sleep: Sleep
    stopping: Callable[[], bool]

    def send(self, ref: BatchRef, *, owner: str) -> int:
        """Send what is open in one batch; return how many recipients SES took.

        Safe to call for any batch at any time: one that is somebody else's, done, gone or not
        wanted now is left alone. `owner` names this run; another run has another name.
        Raises `StoreUnavailableError` only when the process stops while Redis is away, and what
        `postings` raises.
        """
        try:
            posting = self.postings(ref.campaign_id)
            claim = self.books.claim(ref, owner=owner)
        except NotClaimed as answer:
            self._not_claimed(ref, answer)
            return 0
        except NeedsPersonError as fault:
            self.books.halt(ref.campaign_id, str(fault))
            return 0
        except NewerFormatError as refusal:
            log.error("campaign.newer_format", reason=str(refusal))
            return 0
        try:
            recipients = decode_batch(ref, claim.recipients).recipients
            work = _Work(claim, owner, posting, recipients, claim.open())
            self._work_off(work)
        except NewerFormatError as refusal:
            log.error("batch.newer_format", reason=str(refusal))
            self.books.leave(claim, wake_seconds=self.retry.park_seconds)
            return 0
        except LeaseLostError:
            log.warning("batch.lease_lost")
        return work.sent

    def _not_claimed(self, ref: BatchRef, answer: NotClaimed) -> None:
        log.info("batch.not_claimed", why=answer.why, detail=answer.detail)
        if answer.why == "poison":
            reason = (
                f"batch {ref.number} was taken {answer.detail} times by workers that died of it"
            )
            self.books.halt(ref.campaign_id, reason)

    def _work_off(self, work: _Work) -> None:
        try:
            self._call_until_done(work)
        except BudgetExhaustedError as wait:
            self.accounts.hold(work.posting.route.account, work.posting.route.lane, wait)
            log.info("batch.parked", reason=wait.reason, seconds=round(wait.seconds, 1))
            self.books.leave(work.claim, wake_seconds=wait.seconds)
        except KeepsFailingError as fault:
            log.warning("batch.parked", reason=str(fault), seconds=self.retry.park_seconds)
            self.books.leave(work.claim, wake_seconds=self.retry.park_seconds, tries_spent=True)
        except NeedsPersonError as fault:
            if self.books.halt(work.claim.ref.campaign_id, str(fault)):
                log.error("campaign.halted", reason=str(fault))
            self.books.leave(work.claim)
        except CampaignStoppedError:
            self.books.leave(work.claim)
        else:
            self.books.leave(work.claim)

    def _call_until_done(self, work: _Work) -> None:
        until = self.clock() + self.slice_seconds
        while work.open and self.clock() < until and not self.stopping():
            self._one_call(work)

    def _one_call(self, work: _Work) -> None:
        posting = work.posting
        bulk = posting.delivery.bulk()
        grant = self.limiter.take(
            posting.route.account,
            waiter=work.owner,
            wanted=min(len(work.open), posting.delivery.call_size()),
            lane=posting.route.lane,
            bulk_request=bulk,
        )
        number = work.claim.ref.number
        call = posting.delivery.prepare(number, work.next(grant.recipients), bulk=bulk)
        try:
            self.books.begin(work.claim, sorted([*call.indexes, *call.unrenderable]))
        except (CampaignStoppedError, LeaseLostError):
            self.accounts.settle(posting.route.account, grant, counted=0, unsent=grant.recipients)
            raise
        verdicts = call.deliver()
        self._settle(work, call, verdicts)
        self.accounts.settle(
            posting.route.account,
            grant,
            counted=sum(verdict.kind in COUNTED for verdict in verdicts.values()),
            unsent=grant.recipients - len(call.indexes),
        )
        self._heed(work, verdicts)

    def _settle(self, work: _Work, call: Call, verdicts: Mapping[int, Verdict]) -> None:
        last = work.claim.parks >= self.retry.max_parks and (
            work.failures + 1 >= self.retry.max_attempts
        )
        policy = work.posting.on_ambiguous
        settled = [
            Settled(index=index, outcome=Outcome.REJECTED, reason=reason)
            for index, reason in call.unrenderable.items()
        ]
        settled += [
            outcome_of(index, verdict, policy, last_try=last) for index, verdict in verdicts.items()
        ]
        self.books.settle(work.claim, settled)
        again = {one.index for one in settled if one.outcome is Outcome.PENDING}
        called = {one.index for one in settled}
        untried = [index for index in work.open if index not in called]
        # What SES would not take now goes to the end: one stubborn recipient blocks nobody.
        work.open = [*untried, *sorted(again)]
        work.sent += sum(one.outcome is Outcome.ACCEPTED for one in settled)

    def _heed(self, work: _Work, verdicts: Mapping[int, Verdict]) -> None:
        """Act on what the verdicts of one call say beyond its recipients."""
        kinds = {verdict.kind: verdict.reason for verdict in verdicts.values()}
        posting = work.posting
        if Kind.STOP_ACCOUNT in kinds:
            self.accounts.halt(posting.route.account, kinds[Kind.STOP_ACCOUNT])
            raise NeedsPersonError(kinds[Kind.STOP_ACCOUNT])
        if Kind.STOP_CAMPAIGN in kinds:
            raise NeedsPersonError(kinds[Kind.STOP_CAMPAIGN])
        if Kind.QUOTA in kinds:
            raise self.accounts.quota_spent(posting.route.account)
        if Kind.THROTTLED in kinds:
            refused = sum(verdict.kind is Kind.THROTTLED for verdict in verdicts.values())
            self.accounts.throttled(posting.route.account, refused=refused)
        posting.delivery.heed(verdicts)
        self._back_off(work, kinds)

    def _back_off(self, work: _Work, kinds: Mapping[Kind, str]) -> None:
        if not kinds.keys() & _FAILURES or Kind.ACCEPTED in kinds:
            work.failures = 0
            return
        work.failures += 1
        if work.open and work.failures >= self.retry.max_attempts:
            raise KeepsFailingError(next(iter(kinds.values())))
        if work.open:
            self.sleep(backoff_seconds(self.retry, work.failures))
