"""Keeps the budgets true to SES: one process at a time reads GetAccount, for all of them."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import msgspec
import structlog

from postroom.model import AccountName, Lane
from postroom.settings import Account as AccountSettings
from postroom.settings import Limiter as LimiterSettings
from postroom.store.aliases import Aliases
from postroom.store.budget import Allowance, Budget
from postroom.store.dispatch import Dispatch
from postroom.store.poll_lease import PollLease
from worker.account.reading_threads import ReadingThreads
from worker.fitness import Fitness
from worker.ses.account import AccountFacts, AccountUnreadableError
from worker.ses.verdict import Kind
from worker.ses.whose import CallerIdentity

log = structlog.get_logger()

_PASSING: Final = frozenset(
    {Kind.TRANSIENT, Kind.UNREACHABLE, Kind.AMBIGUOUS, Kind.THROTTLED, Kind.BULK_THROTTLED}
)
_RECIPIENTS_PER_SLOT: Final = {Lane.BULK: 100, Lane.TRANSACTIONAL: 5}
"""A slot keeps at least this rate busy, also at a slow SES; a message is a batch of one."""
_UNLIMITED: Final = -1.0
_SOONEST_PART: Final = 0.8
"""Of the time between two readings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPoller:
    """Reads every account when it is due. Call `tick` about once a second, in any process."""

    accounts: Mapping[AccountName, AccountSettings]
    limiter: LimiterSettings
    lease_seconds: float
    """Whoever has not renewed his claim for so long is dead, and his grants with him."""
    read: Callable[[AccountName], AccountFacts]
    turns: PollLease
    budgets: Budget
    dispatch: Dispatch
    fitness: Fitness
    identity: Callable[[AccountName], CallerIdentity | None]
    aliases: Aliases
    threads: ReadingThreads
    _failures: dict[AccountName, int] = field(default_factory=dict, repr=False)
    """Passing faults in a row, as this process has met them."""

    def tick(self) -> None:
        """Read what is due. Raises `StoreUnavailableError`; faults of SES are logged.

        Two round trips, however many accounts there are; n is those that are due, in bounded
        steps, and those that ail on this host.
        """
        room = self.threads.room
        due = self.turns.due(self.fitness.serves, at_most=room)
        ailing = self.fitness.retries(at_most=room - len(due))  # Is this host well again?
        again = {account: self._again_seconds() for account in due}
        for account in self.turns.claim(again, out_of_turn=ailing):
            self.threads.run(partial(self._look, account, self.accounts[account]))

    def soon(self, account: AccountName) -> None:
        """Read this account at the next tick."""
        self.turns.read_in(account, seconds=0.0)

    def _again_seconds(self) -> float:
        """When to read an account again; what is read in one second now is not for ever."""
        part = random.uniform(_SOONEST_PART, 1.0)  # noqa: S311 - it spreads, it guards nothing
        return self.limiter.refresh_seconds * part

    def _look(self, account: AccountName, settings: AccountSettings) -> None:
        try:
            facts = self.read(account)
        except AccountUnreadableError as fault:
            if fault.verdict.kind is Kind.STOP_WORKER:
                self._unfit(account, fault.verdict.reason)
                return
            self.fitness.mended(account)
            self._unreadable(account, settings, fault)
            return
        self.fitness.mended(account)
        self._failures.pop(account, None)
        settings = self._together(account, settings)
        if not facts.sending_enabled:
            self._halt(account, "sending is disabled for the account in SES")
        elif facts.enforcement_status == "SHUTDOWN":
            self._halt(account, "SES has shut sending off for the account (SHUTDOWN)")
        allowance = _allowance(facts, settings, self.limiter)
        self._observe(account, replace(allowance, grant_seconds=2 * self.lease_seconds))

    def _unfit(self, account: AccountName, reason: str) -> None:
        """It is this host that cannot ask: somebody else's turn, unless nobody can."""
        log.error("worker.unfit", account=account, reason=reason)
        self.fitness.fails(account, reason)
        self.soon(account)
        if self.fitness.nobody_can(account):
            self._halt(account, f"on every worker: {reason}")

    def _unreadable(
        self, account: AccountName, settings: AccountSettings, fault: AccountUnreadableError
    ) -> None:
        verdict = fault.verdict
        log.warning("account.unreadable", account=account, reason=verdict.reason)
        if verdict.kind in _PASSING:
            self.turns.read_in(account, seconds=self._backoff_seconds(account))
        elif settings.max_send_rate is not None and verdict.kind is not Kind.STOP_ACCOUNT:
            # SES, or what stands in its place, does not offer GetAccount: the operator's own
            # rate is kept, and SES's refusals are the only word on the quota.
            together = self._together(account, settings)
            rate = together.max_send_rate or settings.max_send_rate
            known = msgspec.structs.replace(together, max_send_rate=rate)
            self._observe(account, _configured(known, self.limiter))
        else:
            hint = f"mend it, or set accounts.{account}.max_send_rate"
            self._halt(account, f"its rate and quota cannot be read: {verdict.reason}; {hint}")

    def _backoff_seconds(self, account: AccountName) -> float:
        """Ask again soon, but where SES hangs not at once: each asking holds a thread."""
        failures = self._failures.get(account, 0)
        self._failures[account] = failures + 1
        return min(self.limiter.refresh_seconds, 2.0 ** min(failures, 10) - 1.0)

    def _together(self, account: AccountName, settings: AccountSettings) -> AccountSettings:
        """Find out who else is this AWS account; return what all of them together may use."""
        if identity := self.identity(account):
            owner = self.aliases.register(account, identity.name, sure=identity.sure)
            if owner != account:
                self.budgets.forget(account)
        sharing = self.aliases.sharing(account)
        known = [self.accounts[one] for one in sharing if one in self.accounts]
        return shared(settings, known)

    def _halt(self, account: AccountName, reason: str) -> None:
        log.error("account.halted", account=account, reason=reason)
        self.budgets.halt(account, reason)

    def _observe(self, account: AccountName, allowance: Allowance) -> None:
        more = self.budgets.observe(account, allowance)
        for lane, slots in self._slots(account, allowance).items():
            self.dispatch.limit(account, lane, slots)
        if more:
            for one in self.aliases.sharing(account):
                self.dispatch.release_hold(one)
            log.info("account.allows", account=account, rate=allowance.rate, quota=allowance.quota)

    def _slots(self, account: AccountName, allowance: Allowance) -> dict[Lane, int]:
        """Return how many batches of each lane go at once: more of bulk, if calls are smaller."""
        slots = {lane: allowance.rate / each for lane, each in _RECIPIENTS_PER_SLOT.items()}
        learned = self.budgets.status(account).burst_seconds
        slots[Lane.BULK] *= max(1.0, allowance.burst_seconds / learned)
        return {lane: 2 + int(most) for lane, most in slots.items()}


def shared(own: AccountSettings, sharing: Sequence[AccountSettings]) -> AccountSettings:
    """Return what sections that are one account at SES may use of it together."""
    rates = [one.max_send_rate for one in sharing if one.max_send_rate is not None]
    requests = [
        one.bulk_requests_per_second for one in sharing if one.bulk_requests_per_second is not None
    ]
    every = len(sharing)
    return msgspec.structs.replace(
        own,
        share=min(1.0, sum(one.share for one in sharing)),
        max_send_rate=sum(rates) if len(rates) == every else None,
        bulk_requests_per_second=sum(requests) if len(requests) == every else None,
    )


def _allowance(
    facts: AccountFacts, settings: AccountSettings, limiter: LimiterSettings
) -> Allowance:
    quota = facts.max_24_hour_send
    return _made(
        settings,
        limiter,
        rate=facts.max_send_rate * settings.share,
        quota=_UNLIMITED if quota is None else quota * settings.share,
        # What is left to others by our share is theirs to send: only what is beyond it is ours.
        sent=max(0.0, facts.sent_last_24_hours - (quota or 0.0) * (1 - settings.share)),
        counted=facts.sent_last_24_hours,
    )


def _configured(settings: AccountSettings, limiter: LimiterSettings) -> Allowance:
    return _made(settings, limiter, rate=float("inf"), quota=_UNLIMITED, sent=-1.0)


def _made(
    settings: AccountSettings,
    limiter: LimiterSettings,
    *,
    rate: float,
    quota: float,
    sent: float,
    counted: float = -1.0,
) -> Allowance:
    return Allowance(
        rate=min(rate, settings.max_send_rate or float("inf")),
        quota=quota,
        sent=sent,
        counted=counted,
        window_seconds=settings.quota_window_seconds,
        cells=limiter.window_cells,
        burst_seconds=limiter.burst_seconds,
        increase_per_second=limiter.increase_per_second,
        requests_per_second=settings.bulk_requests_per_second or 0.0,
        refresh_seconds=limiter.refresh_seconds,
        reserved_share=limiter.transactional_share,
    )
