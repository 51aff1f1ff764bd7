"""SES's own bucket and those who send through it, as a model: minutes pass in seconds."""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from postroom.model import AccountName, CampaignId, Lane
from postroom.store.budget import Ask, Budget, Grant
from simulator.meters import Bucket
from tests.support.redis_clock import ClockedStore


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What SES was asked and took in some seconds."""

    seconds: float
    accepted: int
    refused: int
    calls: int
    most_over_rate: float
    """The most that was granted in any time, beyond what the rate gives in it."""

    @property
    def rate(self) -> float:
        return self.accepted / self.seconds

    @property
    def refused_share(self) -> float:
        return self.refused / max(1, self.accepted)


@dataclass(kw_only=True)
class _Call:
    grant: Grant
    waiter: str
    accepted: int | None = None
    """None until it has arrived."""


@dataclass(kw_only=True)
class ModelledSes:
    """Slots that send calls of up to `call` recipients, which last 40 to 80 ms.

    `others` is the share of the rate that somebody else on the account uses all the time.
    """

    budget: Budget
    store: ClockedStore
    account: AccountName
    rate: float
    bucket_seconds: float
    call: int = 50
    slots: int = 6
    others: float = 0.0
    decrease: float = 0.8

    _events: list[tuple[float, int, "_Call | str"]] = field(default_factory=list)
    _lasts: Random = field(default_factory=lambda: Random(6))
    _numbers: int = 0

    def __post_init__(self) -> None:
        self._at = self._granted_at = self.store.seconds()
        self._over = self._most = 0.0
        self.set_bucket(self.bucket_seconds)
        for number in range(self.slots):
            self._push(self._at, f"waiter {number}")

    def set_bucket(self, seconds: float) -> None:
        self._bucket = Bucket(self.rate, max(1.0, self.rate * seconds), self.store.seconds())

    def send_for(self, seconds: float) -> Seen:
        """Send as fast as the budget lets us."""
        until, accepted, refused, calls = self.store.seconds() + seconds, 0, 0, 0
        self._most = 0.0
        while self._events[0][0] < until:
            at, _, what = heappop(self._events)
            self.store.pass_time(max(0.0, at - self.store.seconds()))
            if isinstance(what, str):
                self._ask(what)
            elif what.accepted is None:
                self._arrive(what)
            else:
                calls += 1
                accepted += what.accepted
                refused += what.grant.recipients - what.accepted
                self._answered(what, what.accepted)
        return Seen(
            seconds=seconds,
            accepted=accepted,
            refused=refused,
            calls=calls,
            most_over_rate=self._most,
        )

    def _ask(self, waiter: str) -> None:
        ask = Ask(
            waiter=waiter,
            wanted=self.call,
            lane=Lane.BULK,
            bulk_request=False,
            campaign_id=CampaignId("c1"),
            weight=1.0,
        )
        answer = self.budget.take(self.account, ask, max_wait_seconds=5.0)
        now = self.store.seconds()
        if isinstance(answer, Grant):
            self._over = max(0.0, self._over - self.rate * (now - self._granted_at))
            self._over, self._granted_at = self._over + answer.recipients, now
            self._most = max(self._most, self._over)
            arrives = now + self._lasts.uniform(0.01, 0.03)
            self._push(arrives, _Call(grant=answer, waiter=waiter))
        else:
            self._push(now + answer.seconds + self._lasts.uniform(0, 0.005), waiter)

    def _arrive(self, call: _Call) -> None:
        now, accepted = self.store.seconds(), 0
        self._bucket.is_open(now)  # Refills it first, as far as it goes.
        self._bucket.take(self.others * self.rate * (now - self._at))
        self._at = now
        for _ in range(call.grant.recipients):
            if self._bucket.is_open(now):
                self._bucket.take(1)
                accepted += 1
        call.accepted = accepted
        self._push(now + self._lasts.uniform(0.03, 0.05), call)

    def _answered(self, call: _Call, accepted: int) -> None:
        grant, refused = call.grant, call.grant.recipients - accepted
        self.budget.settle(self.account, grant, counted=accepted, unsent=0)
        if refused:
            self.budget.throttled(
                self.account, factor=self.decrease, refused=refused, drawn=grant.drawn
            )
        self._push(self.store.seconds(), call.waiter)

    def _push(self, at: float, what: "_Call | str") -> None:
        self._numbers += 1
        heappush(self._events, (at, self._numbers, what))
