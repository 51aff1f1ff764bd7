"""The loops that each worker process runs beside sending, put together."""

from functools import partial
from typing import Final

from postroom import clock
from postroom.dispatch import release
from postroom.health.janitor import Janitor
from postroom.model import AccountName
from postroom.store.lock import Lock
from postroom.store.poll_lease import PollLease
from postroom.store.sender_registry import Rank, SenderRegistry
from worker.account.poller import AccountPoller
from worker.account.reading_threads import ReadingThreads
from worker.components import Components
from worker.process.heartbeat import Heartbeat, slots_of
from worker.process.maintenance import Maintenance
from worker.process.sweep import Sweep
from worker.process.tick import Tick
from worker.ses.account import read_account_of

_SWEEP_LOCK_SECONDS: Final = 10.0
"""A sweeper that has died is followed by another after this long. Above the time that the
longest single repair takes: to close the books of a cancelled campaign of a million."""


def heartbeat(components: Components, concurrency: int) -> Heartbeat:
    return Heartbeat(
        worker=components.worker,
        slots=slots_of(concurrency),
        dispatch=components.dispatch,
        fitness=components.fitness,
        process=components.process,
        meanings=partial(tell_meanings, components),
        seconds=components.settings.dispatch.tick_seconds,
        stopping=components.stopping,
    )


def tell_meanings(components: Components) -> None:
    """Tell what the senders mean here. Raises `StoreUnavailableError`."""
    SenderRegistry(components.store).announce_meanings(components.binding.means, Rank.WORKER)


def quota(components: Components) -> AccountPoller:
    settings = components.settings.accounts
    accounts = {AccountName(name): account for name, account in settings.items()}
    return AccountPoller(
        accounts=accounts,
        limiter=components.settings.limiter,
        lease_seconds=components.settings.worker.lease_seconds,
        read=partial(read_account_of, components.clients),
        turns=PollLease(components.store, components.budget.aliases, accounts),
        budgets=components.budget,
        dispatch=components.dispatch,
        fitness=components.fitness,
        identity=components.whose.identity,
        aliases=components.budget.aliases,
        threads=ReadingThreads(),
    )


def maintenance(components: Components, quota: AccountPoller) -> Maintenance:
    janitor = Janitor.over(
        components.store,
        books=components.ledger,
        line=components.dispatch,
        finishing=components.finishing,
    )
    tick_seconds = components.settings.dispatch.tick_seconds
    sweeping = Lock(
        components.store,
        "sweep",
        owner=components.worker,
        lasts_seconds=_SWEEP_LOCK_SECONDS,
        clock=clock.boottime,
    )
    return Maintenance(
        quota=quota,
        tick=Tick(
            dispatch=components.dispatch,
            release=partial(release.release, components.dispatch, components.publisher),
            first=partial(janitor.live.once, "tick", seconds=tick_seconds * 0.9),
            seconds=tick_seconds,
        ),
        sweep=Sweep(janitor=janitor, lock=sweeping, redis_seconds=components.store.seconds),
        close_unused=components.clients.close_unused,
        seconds=tick_seconds,
        stopping=components.stopping,
    )
