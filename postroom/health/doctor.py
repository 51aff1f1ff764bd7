"""What is wrong, and the one command that mends it: `postroom doctor`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from postroom import remedies
from postroom.broker import queues
from postroom.broker.publish import Publisher
from postroom.dispatch.accounts import AccountControl, AccountStatus
from postroom.dispatch.finishing import Finishing
from postroom.dispatch.release import release
from postroom.errors import UnsafeStoreError
from postroom.health.janitor import NOBODY_SPLITS, Janitor, Repair
from postroom.settings import Settings
from postroom.store import presence
from postroom.store.connection import Store, check_safety
from postroom.store.dispatch import SES_FAILS, Dispatch
from postroom.store.ledger import Ledger
from postroom.store.live import Live, LiveCampaign
from postroom.store.strays import bring_home, strays
from postroom.views.processes import Differing, others


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One thing that is wrong, where, and what to type; empty where nothing is to be typed."""

    where: str
    what: str
    command: str = ""
    wrong: bool = True
    """False: worth knowing, and nothing to mend."""


_LOOKS: Final = 5_000
"""Campaigns that one examination looks at: half a second. The janitor comes by all of them."""
_LONG_ROUND_SECONDS: Final = 30.0


class Doctor:
    """Looks at everything on Redis; of campaigns, at some thousands.

    Raises `StoreUnavailableError` when Redis is away.
    """

    def __init__(self, store: Store, settings: Settings, publisher: Publisher) -> None:
        self._store: Final = store
        self._settings: Final = settings
        self._publisher: Final = publisher
        self._dispatch: Final = Dispatch(store, settings)
        self._all_accounts: Final = AccountControl(store, settings, self._dispatch, publisher)
        self._live: Final = Live(store)
        self._janitor: Final = Janitor.over(
            store,
            books=Ledger.from_settings(store, settings),
            line=self._dispatch,
            finishing=Finishing.from_settings(store, settings, publisher),
        )

    def examine(self) -> list[Complaint]:
        """Return everything that is wrong; changes nothing."""
        looked = list(self._live.each(most=_LOOKS))
        sections = (
            *(self._redis(), self._strays(), self._processes(looked), self._differing()),
            *(self._accounts(), self._campaigns(looked), self._round(len(looked))),
        )
        return [complaint for section in sections for complaint in section]

    def repair(self) -> list[Repair]:
        """Do what the workers' janitor does, now; return what is no longer wrong after it."""
        bring_home(self._store, queues.CAMPAIGNS)
        swept = self._janitor.sweep(now=self._store.seconds())
        for campaign in self._live.each():
            if campaign.may_send and campaign.open and campaign.route:
                self._dispatch.wake(campaign.route)
        release(self._dispatch, self._publisher)
        left = {
            (one.campaign_id, one.what) for one in self._janitor.findings(now=self._store.seconds())
        }
        return [one for one in swept if (one.campaign_id, one.what) not in left]

    def _redis(self) -> Iterator[Complaint]:
        url = self._settings.redis.url
        try:
            for warning in check_safety(self._store, self._settings.redis):
                command = remedies.redis_config(url, "appendonly yes")
                yield Complaint(where="redis", what=warning, command=command)
        except UnsafeStoreError as error:
            command = remedies.redis_config(url, "maxmemory-policy noeviction")
            yield Complaint(where="redis", what=str(error), command=command)

    def _strays(self) -> Iterator[Complaint]:
        if number := strays(self._store, queues.CAMPAIGNS):
            what = (
                f"{number} of our tasks lie in the list `{queues.CAMPAIGNS}`, which nobody reads: "
                "whoever publishes them lacks the broker_transport_options of docs/enqueue.md"
            )
            yield Complaint(where="broker", what=what, command=remedies.REPAIR)

    def _processes(self, campaigns: Sequence[LiveCampaign]) -> Iterator[Complaint]:
        if not presence.workers(self._store) and any(
            one.may_send and one.open for one in campaigns
        ):
            what = "no worker is there, and campaigns wait for one"
            yield Complaint(where="workers", what=what, command=remedies.START_WORKER)
        if not self._producers() and any(one.awaits_split for one in campaigns):
            what = "no producer is there, and campaigns wait for one"
            yield Complaint(where="producers", what=what, command=remedies.START_PRODUCER)

    def _producers(self) -> list[presence.RunningProducer]:
        return presence.producers(self._store)

    def _others(self) -> list[Differing]:
        return list(others(self._store, presence.workers(self._store), self._producers()))

    def _differing(self) -> Iterator[Complaint]:
        """Yield one complaint a process and sender that means something else there."""
        for one in self._others():
            what = f"{one.what}; mend its settings and start it again"
            yield Complaint(where=one.process, what=what)

    def _accounts(self) -> Iterator[Complaint]:
        """Yield at most one complaint an account, whatever waits for it, and one a trouble."""
        there = bool(presence.workers(self._store))
        named = {(one.process, one.sender) for one in self._others()}
        for status in self._all_accounts.all():
            yield from _about_account(status, there=there)
            for trouble in status.troubles:
                if (f"worker {trouble.worker}", _sender(trouble)) not in named:
                    yield _about_trouble(trouble)

    def _campaigns(self, looked: Sequence[LiveCampaign]) -> Iterator[Complaint]:
        producers = bool(self._producers())
        for finding in self._janitor.findings(now=self._store.seconds(), campaigns=looked):
            if producers or finding.what != NOBODY_SPLITS:
                where = f"campaign {finding.campaign_id}"
                yield Complaint(where=where, what=finding.what, command=remedies.REPAIR)
        for campaign in looked:
            if campaign.halted:
                yield Complaint(
                    where=f"campaign {campaign.id}",
                    what=f"halted: {campaign.halted}",
                    command=remedies.after_halt(campaign.id, campaign.halted),
                )

    def _round(self, looked: int) -> Iterator[Complaint]:
        """Tell how far this look went, and how long the janitor takes for all of them."""
        live, took = self._live.count(), self._live.round_seconds()
        if live > looked:
            what = f"looked at {looked:,} of {live:,} campaigns, longest unseen first"
            yield Complaint(where="campaigns", what=what, wrong=False)
        if took is not None and took > _LONG_ROUND_SECONDS:
            what = f"its last round of the {live:,} campaigns that are not over took {took:.0f} s"
            yield Complaint(where="janitor", what=what, wrong=False)


def _about_account(status: AccountStatus, *, there: bool) -> Iterator[Complaint]:
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


def _about_trouble(trouble: presence.Trouble) -> Complaint:
    left = f"sender {_sender(trouble)}" if trouble.sender else f"account {trouble.account}"
    lasts = f"for {trouble.seconds:.0f} s it leaves {left} to others"
    return Complaint(where=f"worker {trouble.worker}", what=f"{trouble.reason}; {lasts}")


def _sender(trouble: presence.Trouble) -> str:
    """Return the sender that a trouble is about, without the mark that a campaign is bound to."""
    return (trouble.sender or "").partition(":")[0]


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
