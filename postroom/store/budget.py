"""What one account may send now: the token bucket of its rate and its rolling quota.

The budget hash holds: `rate` allowed now and `rate_max` as SES says; `tokens` as of `at`;
`burst_seconds` as set, and of what was learned of SES's own bucket: `learned_burst` goes at once,
`drawn` of it is not refilled yet, if nobody else uses it, `ses_burst` it took when it last refused
more, `burst_before` that, `unrefused_seconds` of large calls since then, the last at `granted_at`;
`quota` (-1: none), `used` by us in the window and `foreign` by others on the account;
`window_seconds`, `slice_seconds`, `first` slice still counted; `request_rate`,
`request_tokens`, `request_at` for SendBulkEmail requests; `reserved_quota` for the
transactional lane, which last asked at `transactional_at`; `served_now`, where the turns in the
line stand; `grant`, how many were given; `halted` and why; `paused` when a person did it;
`throttled` so far, last dealt with at `throttled_at`. Grants that are not settled yet stand beside
it.
All times are Redis' clock. With no facts from SES yet, or with Redis away, nothing is granted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any, Final

from postroom.model import AccountName, CampaignId, Lane
from postroom.store.aliases import Aliases
from postroom.store.budget_status import BudgetStatus, status_of
from postroom.store.connection import Store
from postroom.store.keys import AccountKeys

_NOTHING: Final[Mapping[str, int]] = {}
_LANES: Final = {Lane.TRANSACTIONAL: 0, Lane.BULK: 1}


class Why(StrEnum):
    """Why nothing was granted."""

    RATE = "rate"
    REQUESTS = "requests"
    QUOTA = "quota"
    HALTED = "halted"
    PAUSED = "paused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one call wants of the budget."""

    waiter: str
    """Names the asker while it stands in line."""
    wanted: int
    lane: Lane
    bulk_request: bool
    """Whether it is a SendBulkEmail."""
    campaign_id: CampaignId
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """So many recipients may be sent now. To be settled after the call."""

    recipients: int
    stamp: str
    holds: int
    """Recipients that the bucket can hold: the largest call worth asking for."""
    drawn: int
    """Recipients that went at once with these: drawn from SES's bucket and not refilled yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing may be sent now: ask again after `seconds`."""

    why: Why
    seconds: float
    detail: str
    holds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What SES allows an account, and how we count it."""

    rate: float
    quota: float
    """Recipients in the rolling window; -1 is none."""
    sent: float
    """Recipients that SES counts in the window, less what others may send; -1 is unknown."""
    window_seconds: float
    cells: int
    burst_seconds: float
    increase_per_second: float
    requests_per_second: float
    refresh_seconds: float
    reserved_share: float = 0.0
    counted: float = -1.0
    """Recipients that SES counts in the window, whoever sent them; -1 is unknown."""
    grant_seconds: float = 60.0
    """A grant that is not settled after so long is nobody's any more."""


class Budget:
    """The budgets of all accounts."""

    def __init__(self, store: Store) -> None:
        """Accounts that are one at SES have one budget, by whichever name it is asked."""
        self._store: Final = store
        self.aliases: Final = Aliases(store)

    def take(self, account: AccountName, ask: Ask, *, max_wait_seconds: float) -> Grant | Wait:
        """Take up to what is wanted, or learn when to ask again.

        A repeated take takes twice, which errs on the safe side. Raises
        `StoreUnavailableError`.
        """
        asked, answer = self.aliases.owner(account), self._take(account, ask, max_wait_seconds)
        if isinstance(answer, Wait) and answer.why is Why.UNKNOWN:
            self.aliases.refresh()
            if self.aliases.owner(account) != asked:
                return self._take(account, ask, max_wait_seconds)
        return answer

    def _take(self, account: AccountName, ask: Ask, max_wait_seconds: float) -> Grant | Wait:
        keys = self._keys(account)
        granted, wait_ms, why, text, holds, drawn = self._store.run(
            "take_budget",
            [keys.budget, keys.window, keys.line, keys.asks, keys.finish_tags, keys.grants],
            [
                ask.waiter,
                ask.wanted,
                _LANES[ask.lane],
                int(ask.bulk_request),
                int(max_wait_seconds * 1000),
                f"{ask.weight:.6f}",
                ask.campaign_id,
            ],
        )
        if granted:
            return Grant(recipients=granted, stamp=text.decode(), holds=holds, drawn=drawn)
        waits = Why(why.decode())
        return Wait(why=waits, seconds=wait_ms / 1000, detail=text.decode(), holds=holds)

    def settle(
        self,
        account: AccountName,
        grant: Grant,
        *,
        counted: int,
        unsent: int,
        brought: Mapping[str, int] = _NOTHING,
    ) -> None:
        """Say what became of a grant: `counted` by SES, `unsent` never left us.

        What the call `brought` is added to the totals of the account, under these names.
        One that is never settled is given back by `observe`, as far as SES did not count it.
        """
        keys = self._keys(account)
        self._store.run(
            "settle_budget",
            [keys.budget, keys.window, keys.grants, keys.totals, keys.ring],
            [grant.stamp, counted, unsent, *chain.from_iterable(brought.items())],
        )

    def withdraw(self, account: AccountName, waiter: str) -> None:
        """Leave the line: the waiter will not come back."""
        keys = self._keys(account)
        self._store.run("leave_line", [keys.line, keys.asks], [waiter])

    def throttled(
        self, account: AccountName, *, factor: float, refused: int, drawn: int = 0
    ) -> float:
        """SES refused for the rate: let less go at once, or multiply the rate by `factor`.

        `drawn` is that of the grant, 0 where it is not known. Return the rate allowed now.
        """
        keys = self._keys(account)
        own = [keys.budget, keys.log]
        return float(self._store.run("throttle_budget", own, [factor, refused, drawn]))

    def observe(self, account: AccountName, allowance: Allowance) -> bool:
        """Keep the budget true to SES. True when more may be sent than before."""
        keys = self._keys(account)
        more, _foreign = self._store.run(
            "observe_account",
            [keys.budget, keys.window, keys.grants],
            [
                allowance.rate,
                allowance.quota,
                allowance.sent,
                allowance.window_seconds,
                allowance.window_seconds / allowance.cells,
                allowance.burst_seconds,
                allowance.increase_per_second,
                allowance.requests_per_second,
                allowance.refresh_seconds,
                allowance.reserved_share,
                allowance.counted,
                allowance.grant_seconds,
            ],
        )
        return bool(more)

    def halt(self, account: AccountName, reason: str) -> None:
        """Stop every sender of the account until a person resumes it."""
        self._steer(account, "halt", why=reason)

    def pause(self, account: AccountName, *, by: str = "") -> None:
        """A person stops every sender of the account: nothing is granted from now on."""
        self._steer(account, "pause", by=by)

    def resume(self, account: AccountName, *, by: str = "") -> None:
        """End a pause, and a halt whose cause is mended: SES is asked about it at once."""
        self._steer(account, "resume", by=by)
        due: dict[Any, float] = dict.fromkeys(self.aliases.sharing(account), 0.0)
        self._store.ask(lambda client: client.zadd(self._store.keys.readings, due, xx=True))

    def forget(self, account: AccountName) -> None:
        """Grant no more on a budget that turned out to be another's; what stopped it stops all."""
        own = self._store.keys.account(account).budget
        halted, paused = self._store.ask(lambda client: client.hmget(own, "halted", "paused"))
        if halted:
            self.halt(account, halted.decode())
        if paused:
            self.pause(account)
        self._store.ask(lambda client: client.hdel(own, "rate_max", "halted", "paused"))

    def stopped(self, account: AccountName) -> bool:
        """Whether nothing is granted until a person resumes the account."""
        keys = self._keys(account)
        found = self._store.ask(lambda client: client.hmget(keys.budget, "halted", "paused"))
        return any(found)

    def status(self, account: AccountName) -> BudgetStatus:
        keys = self._keys(account)
        raw: dict[bytes, bytes] = self._store.ask(lambda client: client.hgetall(keys.budget))
        return status_of({name.decode(): value.decode() for name, value in raw.items()})

    def _steer(self, account: AccountName, action: str, *, by: str = "", why: str = "") -> None:
        keys = self._keys(account)
        self._store.run("steer_account", [keys.budget, keys.log], [action, by, why])

    def _keys(self, account: AccountName) -> AccountKeys:
        return self._store.keys.account(self.aliases.owner(account))
