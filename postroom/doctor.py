"""What is wrong, and the one command that mends it: `postroom doctor`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from postroom.accounts import Accounts, AccountStatus
from postroom.errors import UnsafeStoreError
from postroom.finishing import Finishing
from postroom.janitor import Finding, Janitor
from postroom.publish import Publisher
from postroom.release import release
from postroom.settings import Settings
from postroom.store import presence
from postroom.store.connection import Store, check_safety
from postroom.store.dispatch import SES_FAILS, Dispatch
from postroom.store.ledger import Ledger
from postroom.store.live import Live

_REPAIR: Final = "postroom doctor --repair"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One thing that is wrong, where, and what to type; empty where nothing is to be typed."""

    where: str
    what: str
    command: str = ""
    wrong: bool = True
    """False: worth knowing, and nothing to mend."""


class Doctor:
    """Looks at everything on Redis. Raises `StoreUnavailableError` when it is away."""

    def __init__(self, store: Store, settings: Settings, publisher: Publisher) -> None:
        self._store: Final = store
        self._settings: Final = settings
        self._publisher: Final = publisher
        self._dispatch: Final = Dispatch(store, settings)
        self._all_accounts: Final = Accounts(store, settings, self._dispatch, publisher)
        self._live: Final = Live(store)
        finishing = Finishing.by(store, settings, publisher)
        self._janitor: Final = Janitor(
            live=self._live,
            steering=finishing.campaigns,
            books=Ledger.by(store, settings),
            line=self._dispatch,
            publisher=self._publisher,
            tell_end=finishing.tell,
        )

    def examine(self) -> list[Complaint]:
        """Return everything that is wrong; changes nothing."""
        return [*self._redis(), *self._workers(), *self._accounts(), *self._campaigns()]

    def repair(self) -> list[Finding]:
        """Do what the workers' janitor does, now; return what was repaired."""
        repaired = self._janitor.sweep(now=self._store.seconds())
        for campaign in self._live.campaigns():
            if campaign.may_send and campaign.open and campaign.route:
                self._dispatch.wake(campaign.route)
        release(self._dispatch, self._publisher)
        return repaired

    def _redis(self) -> Iterator[Complaint]:
        try:
            for warning in check_safety(self._store, self._settings.redis):
                yield Complaint(where="redis", what=warning)
        except UnsafeStoreError as error:
            yield Complaint(
                where="redis",
                what=str(error),
                command="redis-cli config set maxmemory-policy noeviction",
            )

    def _workers(self) -> Iterator[Complaint]:
        if presence.workers(self._store):
            return
        if any(campaign.may_send and campaign.open for campaign in self._live.campaigns()):
            yield Complaint(
                where="workers",
                what="no worker is there, and campaigns wait for one",
                command="celery -A worker.app worker",
            )

    def _accounts(self) -> Iterator[Complaint]:
        """Yield at most one complaint an account, whatever waits for it, and one a trouble."""
        there = bool(presence.workers(self._store))
        for status in self._all_accounts.all():
            where = f"account {status.name}"
            if stop := _stopped(status):
                resume = f"postroom account resume {status.name}"
                yield Complaint(where=where, what=stop, command=resume)
            elif there and status.waiting and not status.workers:
                what = "no worker that is there can send for it, and campaigns wait"
                yield Complaint(where=where, what=what)
            elif what := _slow(status):
                yield Complaint(where=where, what=what)
            if status.shares_with:
                others = ", ".join(status.shares_with)
                what = f"the same AWS account and Region as {others}: they share one budget"
                yield Complaint(where=where, what=what, wrong=False)
            for trouble in status.troubles:
                left = f"sender {trouble.sender}" if trouble.sender else where
                what = f"{trouble.reason}; for {trouble.seconds:.0f} s it leaves {left} to others"
                yield Complaint(where=f"worker {trouble.worker}", what=what)

    def _campaigns(self) -> Iterator[Complaint]:
        for finding in self._janitor.findings(now=self._store.seconds()):
            yield Complaint(
                where=f"campaign {finding.campaign_id}", what=finding.what, command=_REPAIR
            )
        for campaign in self._live.campaigns():
            if campaign.halted:
                where = f"campaign {campaign.id}"
                yield Complaint(
                    where=where,
                    what=f"halted: {campaign.halted}",
                    command=f"postroom resume {campaign.id}",
                )


def _stopped(account: AccountStatus) -> str:
    """Tell what a person must end; empty when nothing."""
    if account.halted:
        return f"halted: {account.halted}"
    return "paused by a person" if account.paused else ""


def _slow(account: AccountStatus) -> str:
    """Tell what slows an account down or lets it rest; a spent quota is nothing wrong."""
    if account.rate is None or account.max_send_rate is None:
        return "its rate and quota were never read from SES" if account.waiting else ""
    failing = [hold.reason for hold in account.holds if hold.reason.startswith(SES_FAILS)]
    if failing:
        return f"it rests: {failing[0]}"
    if account.rate < account.max_send_rate:
        return f"SES throttles: {account.rate:g}/s of {account.max_send_rate:g}/s, growing back"
    return ""
