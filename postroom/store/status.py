"""How a campaign stands, derived from its records at one moment."""

from dataclasses import fields
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


class StatusReader:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store, dispatch: Dispatch) -> None:
        self._store: Final = store
        self._dispatch: Final = dispatch
        self._budget: Final = Budget(store)

    def read(self, campaign_id: CampaignId) -> Status:
        """Raises `UnknownCampaignError`."""
        key = self._store.keys.campaign(campaign_id).campaign
        found = self._store.ask(lambda client: client.hmget(key, *_FACTS, *_COUNTERS))
        values = [(value or b"").decode() for value in found]
        if found[0] is None:
            raise UnknownCampaignError(f"no campaign {campaign_id}")
        facts = dict(zip(_FACTS, values, strict=False))
        counters = zip(_COUNTERS, values[len(_FACTS) :], strict=True)
        totals = Totals(**{name: int(value or 0) for name, value in counters})
        return self._status(campaign_id, facts, totals)

    def _status(self, campaign_id: CampaignId, facts: _Facts, totals: Totals) -> Status:
        now = self._store.seconds()
        account = AccountName(facts["account"])
        budget = self._budget.status(account) if account else None
        stand = self._stand(facts, totals, now, budget)
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

    def _stand(
        self, facts: _Facts, totals: Totals, now: float, budget: BudgetStatus | None
    ) -> _Stand:
        stand = _own_stand(facts, totals, now)
        if stand.state is State.SPLITTING and not presence.producers(self._store):
            return _Stand(stand.state, f"no producer is there: {remedies.START_PRODUCER}")
        if stand.state is not State.SENDING or budget is None:
            return stand
        account = AccountName(facts["account"])
        if stop := stopped(account, budget):
            return _Stand(State.WAITING, stop)
        nobody = self._nobody(account)
        why, until = self._dispatch.held(account, Lane(facts["lane"])) or ("", now)
        if until - now > PACE_SECONDS:
            goes_on = f"{why}; goes on at {_told(until, now)}"
            return _Stand(State.WAITING, goes_on, None if nobody else until)
        return _Stand(State.SENDING, nobody) if nobody else stand

    def _nobody(self, account: AccountName) -> str:
        """Tell that nobody sends for an account; empty when somebody does."""
        there = presence.workers(self._store)
        if not there:
            return f"no worker is there: {remedies.START_WORKER}"
        if not any(one.serves(account) for one in there):
            return f"no worker that is there can send for account {account}: postroom doctor"
        return ""


def stopped(account: AccountName, budget: BudgetStatus) -> str:
    """Tell why a person must let an account go on, and what to type; empty when nobody must."""
    command = f"postroom account resume {account}"
    if budget.halted:
        return f"account {account} is halted: {budget.halted}; when that is mended: {command}"
    return f"account {account} was paused by a person; to go on: {command}" if budget.paused else ""


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
