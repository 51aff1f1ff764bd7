"""How a campaign stands, derived from its records at one moment."""

from collections.abc import Sequence
from dataclasses import fields
from functools import cache, partial
from typing import Final, NamedTuple

from postroom import remedies
from postroom.clock import utc
from postroom.errors import UnknownCampaignError
from postroom.model import AccountName, CampaignId, Lane, State, Status, Totals
from postroom.store import presence
from postroom.store.budget import Budget
from postroom.store.budget_status import BudgetStatus
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.handed_out import PACE_SECONDS
from postroom.store.progress import rate_of_last_seconds, rate_over, seconds_left

_COUNTERS: Final = tuple(field.name for field in fields(Totals))
_FACTS: Final = (
    *("name", "account", "lane", "sealed_at", "send_at", "started_at", "finished_at"),
    *("split", "steer", "halted", "batches", "key", "created_at", "warning", "sample"),
)

_Facts = dict[str, str]


class _Stand(NamedTuple):
    """Where a campaign stands, why, and since or from when (Unix seconds) it is sent."""

    state: State
    reason: str = ""
    begins_at: float | None = None
    """None: nobody knows when it goes on."""


_SOON_SECONDS: Final = 12 * 3600


class Circumstances:
    """What campaigns of one moment share: each is asked of Redis once, however many they are."""

    def __init__(self, store: Store, dispatch: Dispatch) -> None:
        self.now: Final = store.seconds()
        self.budget: Final = cache(Budget(store).status)
        self.held: Final = cache(dispatch.held)
        self.workers: Final = cache(partial(presence.workers, store))
        self.producers: Final = cache(partial(presence.producers, store))


class StatusReader:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store, dispatch: Dispatch) -> None:
        self._store: Final = store
        self._dispatch: Final = dispatch

    def circumstances(self) -> Circumstances:
        """Return what is to be shared by statuses that are read together."""
        return Circumstances(self._store, self._dispatch)

    def read(self, campaign_id: CampaignId, around: Circumstances | None = None) -> Status:
        """Raises `UnknownCampaignError`."""
        key = self._store.keys.campaign(campaign_id).campaign
        found = self._store.ask(lambda client: client.hmget(key, *_FACTS, *_COUNTERS))
        values = [(value or b"").decode() for value in found]
        if found[0] is None:
            raise UnknownCampaignError(f"no campaign {campaign_id}")
        facts = dict(zip(_FACTS, values, strict=False))
        counters = zip(_COUNTERS, values[len(_FACTS) :], strict=True)
        totals = Totals(**{name: int(value or 0) for name, value in counters})
        return self._status(campaign_id, facts, totals, around or self.circumstances())

    def _status(
        self, campaign_id: CampaignId, facts: _Facts, totals: Totals, around: Circumstances
    ) -> Status:
        now, account = around.now, AccountName(facts["account"])
        budget = around.budget(account) if account else None
        stand = _stand(facts, totals, budget, around)
        started, finished = _moment(facts["started_at"]), _moment(facts["finished_at"])
        rate = 0.0
        if started is not None and finished is not None:
            rate = rate_over(totals.accepted, finished - started, budget)
        elif stand.state is State.SENDING:
            rate = rate_of_last_seconds(facts["sample"], totals.accepted, now, budget)
        left = None
        if stand.begins_at is not None and facts["split"]:
            left = seconds_left(totals, rate, budget, begins_in=stand.begins_at - now)
        return Status(
            id=campaign_id,
            name=facts["name"],
            state=stand.state,
            reason=stand.reason,
            warning=facts["warning"],
            totals=totals,
            achieved_rate=rate,
            allowed_rate=budget.rate if budget and budget.known else None,
            eta_seconds=left,
            started_at=started,
            finished_at=finished,
            key=facts["key"],
            created_at=_moment(facts["created_at"]),
        )


def stopped(account: AccountName, budget: BudgetStatus) -> str:
    """Tell why a person must let an account go on, and what to type; empty when nobody must."""
    command = f"postroom account resume {account}"
    if budget.halted:
        return f"account {account} is halted: {budget.halted}; when that is mended: {command}"
    return f"account {account} was paused by a person; to go on: {command}" if budget.paused else ""


def _stand(
    facts: _Facts, totals: Totals, budget: BudgetStatus | None, around: Circumstances
) -> _Stand:
    now = around.now
    stand = _own_stand(facts, totals, now)
    if stand.state is State.SPLITTING and not around.producers():
        return _Stand(stand.state, f"no producer is there: {remedies.START_PRODUCER}")
    if stand.state is not State.SENDING or budget is None:
        return stand
    account = AccountName(facts["account"])
    if stop := stopped(account, budget):
        return _Stand(State.WAITING, stop)
    nobody = _nobody(account, around.workers())
    why, until = around.held(account, Lane(facts["lane"])) or ("", now)
    if until - now > PACE_SECONDS:
        goes_on = f"{why}; goes on at {_told(until, now)}"
        return _Stand(State.WAITING, goes_on, None if nobody else until)
    return _Stand(State.SENDING, nobody) if nobody else stand


def _nobody(account: AccountName, there: Sequence[presence.RunningWorker]) -> str:
    """Tell that nobody sends for an account; empty when somebody does."""
    if not there:
        return f"no worker is there: {remedies.START_WORKER}"
    if not any(one.serves(account) for one in there):
        return f"no worker that is there can send for account {account}: postroom doctor"
    return ""


def _own_stand(facts: _Facts, totals: Totals, now: float) -> _Stand:
    """Return what the campaign's own records say; whether its account is held is not in them."""
    if not facts["sealed_at"]:
        return _Stand(State.RECEIVING)
    if facts["steer"] in (State.CANCELLED, State.EXPIRED):
        return _Stand(State(facts["steer"]))
    if facts["split"] and totals.pending + totals.sending == 0:
        return _Stand(State.FINISHED)
    if facts["halted"]:
        return _Stand(State.HALTED, facts["halted"])
    if facts["steer"] == State.PAUSED:
        return _Stand(State.PAUSED)
    send_at = _moment(facts["send_at"])
    if send_at is not None and send_at > now:
        starts = f"starts at {utc(send_at):%Y-%m-%d %H:%M:%S} UTC"
        return _Stand(State.SCHEDULED, starts, send_at)
    if not facts["split"] and not facts["started_at"]:
        return _Stand(State.SPLITTING)
    return _Stand(State.SENDING, begins_at=now)


def _moment(stored: str) -> float | None:
    return float(stored) if stored else None


def _told(moment: float, now: float) -> str:
    """Tell a moment; with its date unless it is soon."""
    form = "%H:%M:%S" if moment - now < _SOON_SECONDS else "%Y-%m-%d %H:%M:%S"
    return f"{utc(moment):{form}} UTC"
