"""The event logs of campaigns and accounts: what happened, when, by whom and why.

Entries are written by the scripts that do what they tell; see lua/shared/log_event.lua for their
form and bounds. A campaign's log is a field of its records and expires with them; an account's
stays. Messages have none: theirs would be larger than they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from postroom.errors import UnknownCampaignError
from postroom.model import AccountName, CampaignId
from postroom.store.aliases import Aliases
from postroom.store.connection import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One thing that happened, once or several times in a row. Times are Unix seconds."""

    at: float
    """When it happened first."""
    last_at: float
    count: int
    event: str
    """Of a campaign: submitted, split, started, paused, resumed, halted, parked, rebound, retried,
    finished, cancelled, expired. Of an account: paused, resumed, halted, throttled, waiting."""
    by: str
    """Who did it; empty: nobody, it came about by itself."""
    detail: str
    """More of it, or why; without addresses."""
    account: AccountName | None = None
    """The account that it happened to, in the log of a campaign; None: to the campaign itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignLog:
    """One campaign's own entries, and what it takes to find those of its account."""

    entries: Sequence[LogEntry]
    account: AccountName
    """Empty until a producer has seen the campaign."""
    submitted_at: float
    """0 while it is a draft."""
    started_at: float
    """0 until its first call."""
    finished_at: float
    """0 until it is over."""


class EventLog:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._aliases: Final = Aliases(store)

    def campaign(self, campaign_id: CampaignId) -> CampaignLog:
        """Raises `UnknownCampaignError`."""
        key = self._store.keys.campaign(campaign_id).campaign
        names = ("batch_size", "log", "account", "sealed_at", "started_at", "finished_at")
        known, *found = self._store.ask(lambda client: client.hmget(key, *names))
        if known is None:
            raise UnknownCampaignError(f"no campaign {campaign_id}")
        stored, account, sealed, started, finished = (value or b"" for value in found)
        return CampaignLog(
            entries=_entries(stored),
            account=AccountName(account.decode()),
            submitted_at=float(sealed or 0),
            started_at=float(started or 0),
            finished_at=float(finished or 0),
        )

    def account(self, account: AccountName) -> Sequence[LogEntry]:
        """Sections that are one AWS account and Region have one log, as they have one budget."""
        key = self._account(account)
        return _entries(self._store.ask(lambda client: client.hget(key, "log")) or b"")

    def note_waiting(self, account: AccountName, why: str) -> None:
        """An account may not send now."""
        self._note(self._account(account), "waiting", why, begun=False)

    def note_parked(self, campaign_id: CampaignId, why: str) -> None:
        """A batch of a campaign is left alone for a while."""
        key = self._store.keys.campaign(campaign_id).campaign
        self._note(key, "parked", why, begun=True)

    def _note(self, key: str, event: str, detail: str, *, begun: bool) -> None:
        self._store.run("note_event", [key], [event, detail, int(begun)])

    def _account(self, account: AccountName) -> str:
        return self._store.keys.account(self._aliases.owner(account)).log


def _entries(stored: bytes) -> Sequence[LogEntry]:
    lines = stored.decode(errors="replace").split("\n") if stored else []
    return [_entry(line) for line in lines]


def _entry(line: str) -> LogEntry:
    at, last_at, count, event, by, detail = line.split("\t")
    return LogEntry(
        at=float(at),
        last_at=float(last_at or at),
        count=int(count or 1),
        event=event,
        by=by,
        detail=detail,
    )
