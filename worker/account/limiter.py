"""Waits for the budget: hands out recipients of one account at the pace that SES allows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from postroom.clock import Sleep
from postroom.errors import AccountHaltedError, BudgetExhaustedError
from postroom.model import AccountName
from postroom.store.budget import Ask, Grant, Wait, Why

_WHY: Final = {
    Why.RATE: "waiting for the send rate",
    Why.REQUESTS: "waiting for SendBulkEmail requests",
    Why.QUOTA: "quota spent",
    Why.UNKNOWN: "the account's rate and quota have not been read from SES yet",
}
_STOPPED: Final = frozenset({Why.HALTED, Why.PAUSED})


class TokenSource(Protocol):
    """The budget, as far as the limiter asks it. Store errors are waited out behind it."""

    def take(self, account: AccountName, ask: Ask, *, max_wait_seconds: float) -> Grant | Wait: ...
    def withdraw(self, account: AccountName, waiter: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiter:
    """One process' door to the budgets of all accounts."""

    token_source: TokenSource
    sleep: Sleep
    stopping: Callable[[], bool]
    max_wait_seconds: float

    def take(
        self, account: AccountName, ask: Ask, *, before_waiting: Callable[[], None] | None = None
    ) -> Grant:
        """Wait until up to what is wanted may be sent; `before_waiting` is called ahead of a wait.

        Raises `BudgetExhaustedError` when the wait would be long or the process stops, and
        `AccountHaltedError`. Nothing is sent on any of them.
        """
        waited = 0.0
        while not self.stopping():
            answer = self.token_source.take(account, ask, max_wait_seconds=self.max_wait_seconds)
            if isinstance(answer, Grant):
                return answer
            if answer.why in _STOPPED:
                raise AccountHaltedError(answer.detail)
            if answer.why is Why.UNKNOWN or answer.seconds > self.max_wait_seconds:
                # A batch in hand meanwhile would outlast its lease, as if its worker had died.
                raise BudgetExhaustedError(_WHY[answer.why], seconds=answer.seconds)
            if waited > self.max_wait_seconds:
                # Overtaken again and again: the batch is put back before its lease lapses.
                self.token_source.withdraw(account, ask.waiter)
                raise BudgetExhaustedError(_WHY[answer.why], seconds=0.0)
            if before_waiting:
                before_waiting()
            self.sleep(answer.seconds)
            waited += answer.seconds
        self.token_source.withdraw(account, ask.waiter)
        raise BudgetExhaustedError("the worker is stopping", seconds=0.0)
