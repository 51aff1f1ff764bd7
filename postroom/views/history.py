"""What happened to a campaign: its own log, and what befell its account in its time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from postroom.model import AccountName, CampaignId
from postroom.store.connection import Store
from postroom.store.event_log import CampaignLog, EventLog, LogEntry

_LASTING: Final = frozenset({"paused", "halted"})
"""What befell an account before the campaign came, and may still hold it."""


class History:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store) -> None:
        self._log: Final = EventLog(store)

    def account(self, account: AccountName) -> Sequence[LogEntry]:
        return self._log.account(account)

    def campaign(self, campaign_id: CampaignId) -> Sequence[LogEntry]:
        """A paused account is told in one place, however many campaigns wait for it.

        Raises `UnknownCampaignError`.
        """
        own = self._log.campaign(campaign_id)
        entries = [*_started(own), *own.entries]
        if own.account and own.submitted_at:
            befell = _in_time_of(own, self._log.account(own.account))
            entries += [replace(one, account=own.account) for one in befell]
        return sorted(entries, key=lambda one: one.at)


def _started(own: CampaignLog) -> Iterator[LogEntry]:
    # Written to the next millisecond: a campaign of one call would end before it began.
    if at := min(own.started_at, own.finished_at or own.started_at):
        yield LogEntry(at=at, last_at=at, count=1, event="started", by="", detail="")


def _in_time_of(own: CampaignLog, befell: Sequence[LogEntry]) -> Iterator[LogEntry]:
    ended = own.finished_at or float("inf")
    before = [one for one in befell if one.at < own.submitted_at]
    if before and (before[-1].event in _LASTING or before[-1].last_at >= own.submitted_at):
        yield before[-1]
    yield from (one for one in befell if own.submitted_at <= one.at < ended)
