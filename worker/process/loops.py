"""The loops that each worker process runs beside sending, put together."""

from functools import partial
from typing import Final

from postroom import clock
from postroom.dispatch import release
from postroom.health.janitor import Janitor
from postroom.model import AccountName
from postroom.store.live import Live
from postroom.store.lock import Lock
from postroom.store.poll_lease import QuotaTurns
from postroom.store.sender_registry import Directory, Rank
from worker.account.poller import QuotaKeeper, in_a_thread
from worker.components import Ground
from worker.process.heartbeat import Heartbeat, slots_of
from worker.process.maintenance import Upkeep
from worker.ses.account import read_account_of

_SWEEP_LOCK_SECONDS: Final = 10.0
"""A sweeper that has died is followed by another after this long. Above the time that the
longest single repair takes: to close the books of a cancelled campaign of a million."""


def heartbeat(ground: Ground, concurrency: int) -> Heartbeat:
    return Heartbeat(
        worker=ground.worker,
        slots=slots_of(concurrency),
        dispatch=ground.dispatch,
        fitness=ground.fitness,
        process=ground.process,
        meanings=partial(tell_meanings, ground),
        seconds=ground.settings.dispatch.tick_seconds,
        stopping=ground.stopping,
    )


def tell_meanings(ground: Ground) -> None:
    """Tell what the senders mean here. Raises `StoreUnavailableError`."""
    Directory(ground.store).announce_meanings(ground.binding.means, Rank.WORKER)


def quota(ground: Ground) -> QuotaKeeper:
    accounts = ground.settings.accounts
    return QuotaKeeper(
        accounts={AccountName(name): account for name, account in accounts.items()},
        limiter=ground.settings.limiter,
        lease_seconds=ground.settings.worker.lease_seconds,
        read=partial(read_account_of, ground.clients),
        turns=QuotaTurns(ground.store, ground.budget.aliases),
        budgets=ground.budget,
        dispatch=ground.dispatch,
        fitness=ground.fitness,
        identity=ground.whose.identity,
        aliases=ground.budget.aliases,
        aside=in_a_thread,
    )


def upkeep(ground: Ground, quota: QuotaKeeper) -> Upkeep:
    janitor = Janitor(
        live=Live(ground.store),
        steering=ground.finishing.campaigns,
        books=ground.ledger,
        line=ground.dispatch,
        publisher=ground.publisher,
        tell_end=ground.finishing.tell,
    )
    return Upkeep(
        dispatch=ground.dispatch,
        quota=quota,
        janitor=janitor,
        sweeping=Lock(
            ground.store,
            "sweep",
            owner=ground.worker,
            lasts_seconds=_SWEEP_LOCK_SECONDS,
            clock=clock.boottime,
        ),
        release=partial(release.release, ground.dispatch, ground.publisher),
        redis_seconds=ground.store.seconds,
        tick_seconds=ground.settings.dispatch.tick_seconds,
        stopping=ground.stopping,
    )
