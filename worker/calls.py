"""One call to SES for a batch in hand: budget, `sending`, SES, outcomes, and what follows.

The order is the law: nothing leaves before the budget grants it and the ledger says `sending`,
and nothing else happens between SES's answer and the ledger.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from postroom.clock import Clock, Sleep
from postroom.errors import (
    BudgetExhaustedError,
    CampaignStoppedError,
    KeepsFailingError,
    LeaseLostError,
    NeedsPersonError,
)
from postroom.model import AccountName, OnAmbiguous, Outcome, Recipient, Settled
from postroom.settings import Retry
from postroom.store.budget import Ask, Grant
from postroom.store.dispatch import Route
from postroom.store.ledger import Claim
from worker.delivery import Call, Delivery
from worker.limiter import Limiter
from worker.outage import Outage
from worker.outcome import COUNTED, outcome_of
from worker.retry import backoff_seconds
from worker.ses.verdict import Kind, Verdict

_FAILURES: Final = frozenset(
    {Kind.TRANSIENT, Kind.UNREACHABLE, Kind.AMBIGUOUS, Kind.BULK_THROTTLED}
)

_NOT_SENT: Final = Verdict(Kind.TRANSIENT, "the worker was frozen before the call left")


class Books(Protocol):
    """The ledger, as far as calls write it. Redis being away is waited out behind it."""

    def begin(self, claim: Claim, indexes: Sequence[int]) -> None: ...
    def settle(self, claim: Claim, settled: Iterable[Settled]) -> None: ...


class Accounts(Protocol):
    """What a call tells of its account."""

    def settle(self, account: AccountName, grant: Grant, *, counted: int, unsent: int) -> None: ...
    def throttled(self, account: AccountName, *, refused: int) -> None: ...
    def quota_spent(self, account: AccountName) -> BudgetExhaustedError: ...
    def halt(self, account: AccountName, reason: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """All that is needed to send for one campaign; compiled once a process."""

    route: Route
    on_ambiguous: OnAmbiguous
    delivery: Delivery


@dataclass(slots=True)
class Work:
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
class Caller:
    """Makes the calls of a process; its threads share it."""

    books: Books
    accounts: Accounts
    limiter: Limiter
    outage: Outage
    retry: Retry
    clock: Clock
    sleep: Sleep
    fresh_seconds: float
    """How long after `sending` was written a call may still leave: well below a lease."""

    def call(self, work: Work) -> None:
        """Send the next recipients of a batch.

        Raises `BudgetExhaustedError`, `CampaignStoppedError`, `KeepsFailingError`,
        `LeaseLostError`, `NeedsPersonError`: each says what is to become of the batch.
        """
        posting = work.posting
        bulk = posting.delivery.bulk()
        ask = Ask(
            waiter=work.owner,
            wanted=self._wanted(work),
            lane=posting.route.lane,
            bulk_request=bulk,
            campaign_id=posting.route.campaign_id,
            weight=posting.route.weight,
        )
        grant = self.limiter.take(posting.route.account, ask)
        number = work.claim.ref.number
        call = posting.delivery.prepare(number, work.next(grant.recipients), bulk=bulk)
        begun_at = self.clock()
        try:
            self.books.begin(work.claim, sorted([*call.indexes, *call.unrenderable]))
        except (CampaignStoppedError, LeaseLostError):
            self.accounts.settle(posting.route.account, grant, counted=0, unsent=grant.recipients)
            raise
        # Frozen in between, and perhaps taken for dead: nothing leaves, and the ledger knows.
        frozen = self.clock() - begun_at > self.fresh_seconds
        verdicts = dict.fromkeys(call.indexes, _NOT_SENT) if frozen else call.deliver()
        self._settle(work, call, verdicts)
        self.accounts.settle(
            posting.route.account,
            grant,
            counted=sum(verdict.kind in COUNTED for verdict in verdicts.values()),
            unsent=grant.recipients - len(call.indexes),
        )
        self._heed(work, verdicts)

    def _wanted(self, work: Work) -> int:
        if self.outage.suspected(work.posting.route.account):
            return 1
        return min(len(work.open), work.posting.delivery.call_size())

    def _settle(self, work: Work, call: Call, verdicts: Mapping[int, Verdict]) -> None:
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

    def _heed(self, work: Work, verdicts: Mapping[int, Verdict]) -> None:
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

    def _back_off(self, work: Work, kinds: Mapping[Kind, str]) -> None:
        posting = work.posting
        rest = self.outage.note(posting.route.account, kinds, posting.on_ambiguous)
        if not kinds.keys() & _FAILURES or Kind.ACCEPTED in kinds:
            work.failures = 0
            return
        reason = next(iter(kinds.values()))
        if work.open and rest:  # No fault of these recipients: their tries are kept.
            raise BudgetExhaustedError(f"SES fails: {reason}", seconds=rest)
        work.failures += 1
        if work.open and work.failures >= self.retry.max_attempts:
            raise KeepsFailingError(reason)
        if work.open:
            self.sleep(backoff_seconds(self.retry, work.failures))
