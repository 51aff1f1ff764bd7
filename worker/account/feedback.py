"""What this process tells the budgets of its accounts, and what holds them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from postroom.errors import BudgetExhaustedError, StoreUnavailableError, WorkerUnfitError
from postroom.model import AccountName, CampaignId, Lane, SenderName
from postroom.store.budget import Grant
from postroom.store.dispatch import Dispatch
from postroom.store.event_log import EventLog
from postroom.store.handed_out import PACE_SECONDS
from worker.account.poller import AccountPoller
from worker.account.retrying import RetryingBudget
from worker.fitness import Fitness

log = structlog.get_logger()

_NOTHING: Final[Mapping[str, int]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFeedback:
    """The door from the sender to budgets, dispatcher and quota."""

    budgets: RetryingBudget
    holds: Dispatch
    log: EventLog
    quota: AccountPoller
    fitness: Fitness
    decrease: float
    refresh_seconds: float

    def settle(
        self,
        account: AccountName,
        grant: Grant,
        *,
        counted: int,
        unsent: int,
        brought: Mapping[str, int] = _NOTHING,
    ) -> None:
        """Say what became of a grant, and what the call brought."""
        self.budgets.settle(account, grant, counted=counted, unsent=unsent, brought=brought)

    def throttled(self, account: AccountName, grant: Grant, *, refused: int) -> None:
        """SES refused so many recipients of a grant for the rate: send less at once, or slower."""
        self.budgets.throttled(account, factor=self.decrease, refused=refused, drawn=grant.drawn)

    def quota_spent(self, account: AccountName) -> BudgetExhaustedError:
        """SES says the quota is spent where we thought it was not: ask SES, and wait."""
        with suppress(StoreUnavailableError):  # A hint: the account is read in time anyway.
            self.quota.soon(account)
        return BudgetExhaustedError("SES says the quota is spent", seconds=self.refresh_seconds)

    def hold(self, account: AccountName, lane: Lane, wait: BudgetExhaustedError) -> None:
        """Release nothing more of the account and lane while the wait lasts.

        A hint: where it is not taken, the next batch finds what this one found.
        """
        if wait.seconds <= 0:
            return
        with suppress(StoreUnavailableError):
            self.holds.hold(account, lane, seconds=wait.seconds, reason=wait.reason)
            if wait.seconds > PACE_SECONDS:
                self.log.note_waiting(account, f"{lane}: {wait.reason}")

    def parks(self, campaign_id: CampaignId, reason: str) -> None:
        """A batch of a campaign is left alone for a while; for its log, where that can be."""
        with suppress(StoreUnavailableError):
            self.log.note_parked(campaign_id, reason)

    def halt(self, account: AccountName, reason: str) -> None:
        """Nothing is sent on the account until a person resumes it."""
        if not self.budgets.stopped(account):
            log.error("account.halted", account=account, reason=reason)
        self.budgets.halt(account, reason)

    def unfit(self, account: AccountName, reason: str) -> WorkerUnfitError:
        """Something of this host keeps it from sending: leave the account to others."""
        self.fitness.fails(account, reason)
        log.error("worker.unfit", account=account, reason=reason)
        return WorkerUnfitError(reason, account=account, sender=None)

    def check_fit(self, account: AccountName) -> None:
        """Raises `WorkerUnfitError` while this process cannot send for the account.

        From time to time a batch may try: nobody else finds out in a forked child that the host
        was mended.
        """
        if (reason := self.fitness.reason(account)) and not self.fitness.retry(account):
            raise WorkerUnfitError(reason, account=account, sender=None)

    def fit(self, account: AccountName) -> None:
        """SES took mail of this process for the account."""
        self.fitness.mended(account)

    def nobody_can(self, trouble: WorkerUnfitError) -> bool:
        """Whether every worker has had this trouble for so long that a person must act."""
        with suppress(StoreUnavailableError):
            return self.fitness.nobody_can(
                AccountName(trouble.account), SenderName(trouble.sender) if trouble.sender else None
            )
        return False

    def hold_halted(self, account: AccountName, reason: str) -> None:
        """Release nothing of a halted account, but for a look now and then whether it still is."""
        with suppress(StoreUnavailableError):  # A hint, as any hold.
            for lane in Lane:
                self.holds.hold(account, lane, seconds=2 * self.refresh_seconds, reason=reason)
            if not self.budgets.stopped(account):
                self.holds.release_hold(account)  # Resumed since it was found halted.
