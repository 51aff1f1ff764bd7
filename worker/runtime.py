"""One worker process, put together: every part is built here and handed what it needs."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from postroom import clock, release
from postroom.janitor import Janitor
from postroom.model import AccountName, BatchRef, CampaignId
from postroom.publish import Publisher
from postroom.settings import Settings
from postroom.store.budget import Budget
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store, check_safety
from postroom.store.directory import Directory
from postroom.store.dispatch import Dispatch
from postroom.store.ledger import Ledger
from postroom.store.live import Live
from postroom.store.quota import QuotaTurns
from postroom.store.suppression import Suppression
from worker.accounts import Accounts
from worker.call_pool import CallPool
from worker.calls import Caller, Posting
from worker.delivery import BulkRest, Delivery
from worker.limiter import Limiter
from worker.outage import Outage
from worker.patience import PatientBudget, PatientLedger
from worker.postings import Compiler
from worker.quota import QuotaKeeper, in_a_thread
from worker.render import Mailing
from worker.retry import store_waits
from worker.sender import Sender
from worker.ses.account import read_account_of
from worker.ses.client import Clients
from worker.ses.request import SesCarrier
from worker.shift import Shift
from worker.stopping import Stopping
from worker.suppression_check import SuppressionCheck
from worker.upkeep import Upkeep, slots_of

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """The parts of one process that its tasks and its upkeep use."""

    name: str
    settings: Settings
    store: Store
    dispatch: Dispatch
    publisher: Publisher
    sender: Sender
    postings: Callable[[CampaignId], Posting]
    upkeep: Callable[[int], Upkeep]
    stopping: Stopping

    def send_batch(self, ref: BatchRef) -> int:
        """Send one batch, then what is due after it, for a slice. Returns recipients sent."""
        return Shift(
            worker=self.name,
            sender=self.sender,
            postings=self.postings,
            dispatch=self.dispatch,
            publisher=self.publisher,
            slice_seconds=self.settings.worker.slice_seconds,
            clock=clock.monotonic,
            stopping=self.stopping.asked,
        ).work(ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What the parts stand on: the settings, Redis, the broker and SES."""

    settings: Settings
    stopping: Stopping
    store: Store
    budget: Budget
    ledger: Ledger
    dispatch: Dispatch
    publisher: Publisher
    clients: Clients


def build(settings: Settings, *, stopping: Stopping) -> Worker:
    """Put a worker together; nothing is asked of Redis or SES yet."""
    store = Store(settings.redis, client_name="postroom-worker")
    ground = _Ground(
        settings=settings,
        stopping=stopping,
        store=store,
        budget=Budget(store),
        ledger=Ledger.by(store, settings),
        dispatch=Dispatch(store, settings),
        publisher=Publisher(settings.redis),
        clients=Clients(settings),
    )
    name = f"{socket.gethostname()}:{os.getpid()}"
    postings = _postings(ground)
    quota = _quota(ground)
    return Worker(
        name=name,
        settings=settings,
        store=store,
        dispatch=ground.dispatch,
        publisher=ground.publisher,
        sender=_sender(ground, quota, postings),
        postings=postings,
        upkeep=partial(_upkeep, ground, name, quota),
        stopping=stopping,
    )


def check(worker: Worker) -> None:
    """Look at Redis before the first batch, and tell others which senders this worker knows.

    Raises `UnsafeStoreError`, `StoreUnavailableError`.
    """
    for warning in check_safety(worker.store, worker.settings.redis):
        log.warning("redis.unsafe", reason=warning)
    Directory(worker.store).announce(worker.settings.senders)


def _sender(
    ground: _Ground, quota: QuotaKeeper, postings: Callable[[CampaignId], Posting]
) -> Sender:
    settings, stopping = ground.settings, ground.stopping
    waiting = store_waits(stopping.sleep, stopping.asked)
    settling = store_waits(clock.sleep, stopping.overdue)
    budget = PatientBudget(ground.budget, waiting)
    books = PatientLedger(ground.ledger, waiting, settling=settling)
    accounts = Accounts(
        budgets=budget,
        holds=ground.dispatch,
        quota=quota,
        decrease=settings.limiter.decrease,
        refresh_seconds=settings.limiter.refresh_seconds,
    )
    return Sender(
        books=books,
        accounts=accounts,
        caller=_caller(ground, budget, books, accounts),
        postings=postings,
        park_seconds=settings.retry.park_seconds,
        slice_seconds=settings.worker.slice_seconds,
        clock=clock.monotonic,
        stopping=stopping.asked,
    )


def _caller(
    ground: _Ground, budget: PatientBudget, books: PatientLedger, accounts: Accounts
) -> Caller:
    settings, stopping = ground.settings, ground.stopping
    waiting = store_waits(stopping.sleep, stopping.asked)
    return Caller(
        books=books,
        accounts=accounts,
        limiter=Limiter(
            purse=budget,
            sleep=stopping.sleep,
            stopping=stopping.asked,
            max_wait_seconds=settings.worker.max_wait_seconds,
        ),
        suppression=SuppressionCheck(Suppression(ground.store), waiting, clock.monotonic),
        outage=Outage(
            clock.monotonic,
            calls=settings.retry.max_attempts,
            rest_seconds=settings.retry.cap_seconds,
            longest_rest_seconds=settings.retry.park_seconds,
        ),
        retry=settings.retry,
        clock=clock.boottime,
        sleep=stopping.sleep,
        stopping=stopping.asked,
        call_age_seconds=settings.call_age_seconds,
    )


def _postings(ground: _Ground) -> Callable[[CampaignId], Posting]:
    settings = ground.settings
    calls = CallPool(
        settings.worker.single_calls,
        clock=clock.monotonic,
        stopping=ground.stopping.asked,
        max_wait_seconds=settings.worker.max_wait_seconds,
    )
    rest = BulkRest(clock.monotonic, rest_seconds=settings.limiter.bulk_rest_seconds)

    def delivery(account: AccountName, mailing: Mailing) -> Delivery:
        own = settings.accounts[account]
        return Delivery(
            account=account,
            mode=own.send_mode,
            mailing=mailing,
            carrier=SesCarrier(partial(ground.clients.sending, account), region=own.region),
            rest=rest,
            calls=calls,
            bulk_call_size=settings.worker.bulk_call_size,
            bulk_call_bytes=settings.worker.bulk_call_bytes,
        )

    return Compiler(
        records=Live(ground.store),
        senders=settings.senders,
        delivery=delivery,
        waiting=store_waits(ground.stopping.sleep, ground.stopping.asked),
    ).cached()


def _quota(ground: _Ground) -> QuotaKeeper:
    accounts = ground.settings.accounts
    return QuotaKeeper(
        accounts={AccountName(name): account for name, account in accounts.items()},
        limiter=ground.settings.limiter,
        lease_seconds=ground.settings.worker.lease_seconds,
        read=partial(read_account_of, ground.clients),
        turns=QuotaTurns(ground.store),
        budgets=ground.budget,
        dispatch=ground.dispatch,
        aside=in_a_thread,
    )


def _upkeep(ground: _Ground, name: str, quota: QuotaKeeper, concurrency: int) -> Upkeep:
    janitor = Janitor(
        live=Live(ground.store),
        steering=Campaigns(ground.store, ground.settings.store),
        books=ground.ledger,
        line=ground.dispatch,
        publisher=ground.publisher,
    )
    return Upkeep(
        worker=name,
        slots=slots_of(concurrency),
        dispatch=ground.dispatch,
        quota=quota,
        janitor=janitor,
        release=partial(release.release, ground.dispatch, ground.publisher),
        redis_seconds=ground.store.seconds,
        tick_seconds=ground.settings.dispatch.tick_seconds,
        stopping=ground.stopping,
    )
