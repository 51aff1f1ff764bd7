"""One call to SES for a batch in hand: a place, the budget, `sending`, SES, outcomes, what follows.

The order is the law: nothing leaves before the budget grants it and the ledger says `sending`,
nothing is `sending` that has no place to leave from, and nothing else happens between SES's
answer and the ledger.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from postroom.clock import Clock, Sleep
from postroom.errors import (
    AccountHaltedError,
    BudgetExhaustedError,
    KeepsFailingError,
    NeedsPersonError,
    PostroomError,
)
from postroom.model import Outcome, Settled
from postroom.settings import Retry
from postroom.store.budget import Ask, Grant
from postroom.store.dispatch import SES_FAILS
from worker.account.circuit_breaker import CircuitBreaker
from worker.account.feedback import AccountFeedback
from worker.account.limiter import Limiter
from worker.account.retrying import RetryingLedger
from worker.sending.call_pool import Reservation
from worker.sending.delivery import Call
from worker.sending.outcome import COUNTED, FAILURES, FAULTS, NEVER_SENT, outcome_of
from worker.sending.retry import backoff_seconds
from worker.sending.suppression_check import SuppressionCheck
from worker.sending.tally import tally
from worker.sending.work import CompiledCampaign, Work
from worker.ses.departure import Gate
from worker.ses.verdict import Kind, Verdict

_BULK_REFUSED: Final = frozenset({Kind.BULK_THROTTLED, Kind.BULK_UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """A call that the ledger knows of."""

    call: Call
    settled: Sequence[Settled]
    """Recipients who are not part of it after all: suppressed, too late, nothing to be rendered."""
    gate: Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Makes the calls of a process; its threads share it."""

    books: RetryingLedger
    accounts: AccountFeedback
    limiter: Limiter
    suppression: SuppressionCheck
    breaker: CircuitBreaker
    retry: Retry
    clock: Clock
    """Goes on while the host sleeps: a call that was begun before must not leave after it."""
    sleep: Sleep
    stopping: Callable[[], bool]
    call_age_seconds: float
    """How long after `sending` was written a call may still leave: it is over in its lease."""

    def call(self, work: Work) -> None:
        """Send the next recipients of a batch.

        Each error says what is to become of the batch: `AccountHaltedError`, `LeaseLostError`,
        `BudgetExhaustedError`, `CampaignStoppedError`, `KeepsFailingError`, `NeedsPersonError`,
        `WorkerUnfitError`.
        """
        delivery, route = work.compiled.delivery, work.compiled.route
        chosen = work.next()
        bulk = delivery.goes_bulk(len(chosen), alone=work.goes_alone(chosen[0]))
        with delivery.reserve(route.lane, len(chosen), bulk=bulk) as places:
            ask, narrow = self._ask(work, len(chosen), places), places.narrow if places else None
            grant = self.limiter.take(route.account, ask, before_waiting=narrow)
            most = places.fit(grant.recipients) if places else grant.recipients
            begun = self._begin(work, grant, chosen[:most], places)
            verdicts = begun.call.deliver(begun.gate)
            settled = self._settle(work, begun, verdicts)
        kinds = [verdict.kind for verdict in verdicts.values()]
        counted = sum(kind in COUNTED for kind in kinds)
        unsent = grant.recipients - sum(kind not in NEVER_SENT for kind in kinds)
        brought = tally(route.lane, settled, list(verdicts.values()), bulk=bulk)
        self.accounts.settle(route.account, grant, counted=counted, unsent=unsent, brought=brought)
        self._observe(work, grant, verdicts)

    def _ask(self, work: Work, chosen: int, places: Reservation | None) -> Ask:
        route = work.compiled.route
        trial = self.breaker.suspected(route.account)
        return Ask(
            waiter=work.owner,
            wanted=1 if trial else min(chosen, work.compiled.delivery.call_size(places)),
            lane=route.lane,
            bulk_request=places is None,
            campaign_id=route.campaign_id,
            weight=route.weight,
        )

    def _begin(
        self, work: Work, grant: Grant, indexes: Sequence[int], places: Reservation | None
    ) -> _Begun:
        """Make the call ready and write `sending`; the grant is given back where that fails."""
        try:
            found = self.suppression.find([work.recipients[index] for index in indexes])
            suppressed = {indexes[at] for at in found}
            late = {at for at in indexes if work.is_late(at)} - suppressed
            left_out = suppressed | late
            rest = [(at, work.recipients[at]) for at in indexes if at not in left_out]
            call = work.compiled.delivery.prepare(work.claim.ref.number, rest, places)
            work.alone |= call.too_large
            settled = [Settled(index=at, outcome=Outcome.SUPPRESSED) for at in suppressed]
            settled += [Settled(index=at, outcome=Outcome.EXPIRED) for at in late]
            settled += [
                Settled(index=at, outcome=Outcome.REJECTED, reason=reason)
                for at, reason in call.unrenderable.items()
            ]
            gate = self._gate()
            if called := sorted([*call.indexes, *(one.index for one in settled)]):
                self.books.begin(work.claim, called)
        except PostroomError:
            account = work.compiled.route.account
            self.accounts.settle(account, grant, counted=0, unsent=grant.recipients)
            raise
        return _Begun(call=call, settled=settled, gate=gate)

    def _gate(self) -> Gate:
        """Frozen on its way, and perhaps taken for dead, a call does not leave; nor in a stop."""
        until = self.clock() + self.call_age_seconds

        def closed() -> str:
            if self.stopping():
                return "the worker is stopping"
            return "the worker was too slow to send it" if self.clock() > until else ""

        return closed

    def _settle(
        self, work: Work, begun: _Begun, verdicts: Mapping[int, Verdict]
    ) -> Sequence[Settled]:
        last = work.claim.parks >= self.retry.max_parks and (
            work.failures + 1 >= self.retry.max_attempts
        )
        policy = work.compiled.on_ambiguous
        settled = [
            *begun.settled,
            *(outcome_of(at, verdict, policy, last_try=last) for at, verdict in verdicts.items()),
        ]
        if settled:
            self.books.settle(work.claim, settled)
        again = {one.index for one in settled if one.outcome is Outcome.PENDING}
        called = {one.index for one in settled}
        untried = [index for index in work.open if index not in called]
        # What SES would not take now goes to the end: one stubborn recipient blocks nobody.
        work.open = [*untried, *sorted(again)]
        work.alone |= {at for at, told in verdicts.items() if told.kind is Kind.ONE_BY_ONE}
        work.sent += sum(one.outcome is Outcome.ACCEPTED for one in settled)
        return settled

    def _observe(self, work: Work, grant: Grant, verdicts: Mapping[int, Verdict]) -> None:
        """Act on what the verdicts of one call say beyond its recipients."""
        kinds = {verdict.kind: verdict.reason for verdict in verdicts.values()}
        compiled = work.compiled
        if Kind.ACCEPTED in kinds:
            self.accounts.fit(compiled.route.account)
        if Kind.STOP_ACCOUNT in kinds:
            self.accounts.halt(compiled.route.account, kinds[Kind.STOP_ACCOUNT])
            raise AccountHaltedError(kinds[Kind.STOP_ACCOUNT])
        if Kind.STOP_WORKER in kinds:
            raise self.accounts.unfit(compiled.route.account, kinds[Kind.STOP_WORKER])
        if Kind.STOP_CAMPAIGN in kinds:
            raise NeedsPersonError(kinds[Kind.STOP_CAMPAIGN])
        if Kind.QUOTA in kinds:
            raise self.accounts.quota_spent(compiled.route.account)
        if Kind.THROTTLED in kinds:
            refused = sum(verdict.kind is Kind.THROTTLED for verdict in verdicts.values())
            self.accounts.throttled(compiled.route.account, grant, refused=refused)
        if kinds.keys() & _BULK_REFUSED:
            self._bulk_refused(compiled, kinds)
        self._back_off(work, kinds)

    def _bulk_refused(self, compiled: CompiledCampaign, kinds: Mapping[Kind, str]) -> None:
        """Go over to SendEmail where the settings leave that to us; else the account waits."""
        if compiled.delivery.mode == "auto":
            compiled.delivery.rest_bulk()
            return
        account = compiled.route.account
        if reason := kinds.get(Kind.BULK_UNKNOWN):
            reason = f'{reason}: set accounts.{account}.send_mode to "auto" or "single"'
            self.accounts.halt(account, reason)
            raise AccountHaltedError(reason)
        raise BudgetExhaustedError(kinds[Kind.BULK_THROTTLED], seconds=self.retry.cap_seconds)

    def _back_off(self, work: Work, kinds: Mapping[Kind, str]) -> None:
        compiled = work.compiled
        rest = self.breaker.note(compiled.route.account, kinds, compiled.on_ambiguous)
        brought = {kind: reason for kind, reason in kinds.items() if kind is not Kind.UNSENT}
        if not brought:
            return
        if not brought.keys() & FAULTS or Kind.ACCEPTED in brought:
            work.failures = 0
            return
        reason = next(reason for kind, reason in brought.items() if kind in FAULTS)
        if work.open and rest:  # No fault of these recipients: their tries are kept.
            raise BudgetExhaustedError(f"{SES_FAILS}: {reason}", seconds=rest)
        work.failures += bool(brought.keys() & FAILURES)
        if work.open and work.failures >= self.retry.max_attempts:
            raise KeepsFailingError(reason)
        if work.open:
            self.sleep(backoff_seconds(self.retry, max(1, work.failures)))
