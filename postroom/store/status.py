"""How a campaign stands, derived from its records at one moment."""

from dataclasses import fields
from typing import Final

from postroom.clock import utc
from postroom.errors import UnknownCampaignError
from postroom.estimate import DAY, time_needed
from postroom.model import AccountName, CampaignId, Lane, State, Status, Totals
from postroom.store.budget import Budget, BudgetStatus
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch

_COUNTERS: Final = tuple(field.name for field in fields(Totals))
_FACTS: Final = (
    *("name", "account", "lane", "sealed_at", "send_at", "started_at", "finished_at"),
    *("split", "steer", "halted", "batches", "key", "created_at", "warning"),
)

_Facts = dict[str, str]

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
        allowed = budget.rate if budget and budget.known else None
        state, reason = self._state(facts, totals, now, budget)
        started, finished = _moment(facts["started_at"]), _moment(facts["finished_at"])
        lasted = 0.0 if started is None else (finished or now) - started
        achieved = totals.accepted / lasted if lasted > 0 else 0.0
        going = state in (State.SENDING, State.SPLITTING, State.WAITING)
        return Status(
            id=campaign_id,
            name=facts["name"],
            state=state,
            reason=reason,
            warning=facts["warning"],
            totals=totals,
            achieved_rate=achieved,
            allowed_rate=allowed,
            eta_seconds=_eta(totals, achieved or allowed, budget) if going else None,
            started_at=started,
            finished_at=finished,
            key=facts["key"],
            created_at=_moment(facts["created_at"]),
        )

    def _state(
        self, facts: _Facts, totals: Totals, now: float, budget: BudgetStatus | None
    ) -> tuple[State, str]:
        """Return the state and the reason for it."""
        state, reason = _own_state(facts, totals, now)
        if state is State.SENDING and budget is not None:
            if stop := stopped(AccountName(facts["account"]), budget):
                return State.WAITING, stop
            if held := self._dispatch.held(AccountName(facts["account"]), Lane(facts["lane"])):
                why, until = held
                return State.WAITING, f"{why}; goes on at {_told(until, now)}"
        return state, reason


def stopped(account: AccountName, budget: BudgetStatus) -> str:
    """Tell why a person must let an account go on, and what to type; empty when nobody must."""
    command = f"postroom account resume {account}"
    if budget.halted:
        return f"account {account} is halted: {budget.halted}; when that is mended: {command}"
    return f"account {account} was paused by a person; to go on: {command}" if budget.paused else ""


def _own_state(facts: _Facts, totals: Totals, now: float) -> tuple[State, str]:
    """Return what the campaign's own records say; whether its account is held is not in them."""
    if not facts["sealed_at"]:
        return State.RECEIVING, ""
    if facts["steer"] in (State.CANCELLED, State.EXPIRED):
        return State(facts["steer"]), ""
    if facts["split"] and totals.pending + totals.sending == 0:
        return State.FINISHED, ""
    if facts["halted"]:
        return State.HALTED, facts["halted"]
    if facts["steer"] == State.PAUSED:
        return State.PAUSED, ""
    send_at = _moment(facts["send_at"])
    if send_at is not None and send_at > now:
        return State.SCHEDULED, f"starts at {utc(send_at):%Y-%m-%d %H:%M:%S} UTC"
    if not facts["split"] and not facts["started_at"]:
        return State.SPLITTING, ""
    return State.SENDING, ""


def _moment(stored: str) -> float | None:
    return float(stored) if stored else None


def _told(moment: float, now: float) -> str:
    """Tell a moment; with its date unless it is soon."""
    form = "%H:%M:%S" if moment - now < _SOON_SECONDS else "%Y-%m-%d %H:%M:%S"
    return f"{utc(moment):{form}} UTC"


def _eta(totals: Totals, rate: float | None, budget: BudgetStatus | None) -> float | None:
    if not rate:
        return None
    limited = budget is not None and budget.known and budget.quota >= 0
    return time_needed(
        totals.pending + totals.sending,
        per_second=rate,
        quota=budget.quota if budget and limited else float("inf"),
        sent=budget.used + budget.foreign if budget else 0.0,
        window_seconds=budget.window_seconds if budget else DAY,
    )
