"""One worker process, put together: every part is built here and handed what it needs."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from postroom import clock, remedies
from postroom.broker.publish import Publisher
from postroom.health.announcing import OwnProcess
from postroom.model import AccountName, BatchRef, CampaignId
from postroom.settings import Settings
from postroom.store.connection import Store, check_safety
from postroom.store.dispatch import Dispatch
from postroom.store.live import Live
from postroom.store.sender_registry import Directory
from postroom.store.suppression import Suppression
from worker.account.circuit_breaker import Outage
from worker.account.feedback import Accounts
from worker.account.limiter import Limiter
from worker.account.poller import QuotaKeeper
from worker.account.retrying import PatientBudget, PatientLedger
from worker.components import Ground, lay
from worker.fitness import Fitness
from worker.process import loops
from worker.process.batch_loop import Shift, Worked
from worker.process.heartbeat import Heartbeat
from worker.process.maintenance import Upkeep
from worker.render import Mailing
from worker.sending.call_pool import CallPool
from worker.sending.calls import Caller, Posting
from worker.sending.compiled import Compiler
from worker.sending.delivery import BulkRest, Delivery
from worker.sending.retry import store_waits
from worker.sending.sender import Sender
from worker.sending.suppression_check import SuppressionCheck
from worker.ses.request import SesCarrier
from worker.stopping import Stopping

log = structlog.get_logger()

_UNKNOWN: Final = 32
"""Campaigns of unknown senders that are passed by; picking turns looks at no more."""


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
    heartbeat: Callable[[int], Heartbeat]
    """For so many batches at once."""
    upkeep: Callable[[], Upkeep]
    stopping: Stopping
    fitness: Fitness
    tell_end: Callable[[CampaignId], None]
    unknown: deque[CampaignId]
    process: OwnProcess

    def send_batch(self, ref: BatchRef) -> int:
        """Send as `work` does. Returns the recipients that SES took."""
        return self.work(ref).recipients

    def work(self, ref: BatchRef) -> Worked:
        """Send one batch, then what is due after it, for a slice."""
        shift = Shift(
            worker=self.name,
            sender=self.sender,
            postings=self.postings,
            dispatch=self.dispatch,
            publisher=self.publisher,
            slots=self.settings.worker.slots,
            slice_seconds=self.settings.worker.slice_seconds,
            clock=clock.monotonic,
            sleep=self.stopping.sleep,
            stopping=self.stopping.asked,
            fitness=self.fitness,
            tell_end=self.tell_end,
            unknown=self.unknown,
        )
        with self.process.at_work():
            return shift.work(ref)


def build(settings: Settings, *, stopping: Stopping, store: Store | None = None) -> Worker:
    """Put a worker together, over a store of its own unless one is given.

    Nothing is asked of Redis or SES yet.
    """
    ground = lay(settings, stopping, store)
    postings = _postings(ground)
    quota = loops.quota(ground)
    return Worker(
        name=ground.worker,
        settings=settings,
        store=ground.store,
        dispatch=ground.dispatch,
        publisher=ground.publisher,
        sender=_sender(ground, quota, postings),
        postings=postings,
        heartbeat=partial(loops.heartbeat, ground),
        upkeep=partial(loops.upkeep, ground, quota),
        stopping=stopping,
        fitness=ground.fitness,
        tell_end=ground.finishing.tell,
        unknown=deque(maxlen=_UNKNOWN),
        process=ground.process,
    )


def check(worker: Worker) -> None:
    """Look at Redis before the first batch, and tell others which senders this worker knows.

    Raises `UnsafeStoreError`, `StoreUnavailableError`.
    """
    for warning in check_safety(worker.store, worker.settings.redis):
        command = remedies.redis_config(worker.settings.redis.url, "appendonly yes")
        log.warning("redis.unsafe", reason=warning, command=command)
    Directory(worker.store).announce(worker.settings.senders)


def _sender(
    ground: Ground, quota: QuotaKeeper, postings: Callable[[CampaignId], Posting]
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
        fitness=ground.fitness,
        decrease=settings.limiter.decrease,
        refresh_seconds=settings.limiter.refresh_seconds,
    )
    return Sender(
        books=books,
        accounts=accounts,
        caller=_caller(ground, budget, books, accounts),
        postings=postings,
        check_meaning=partial(waiting, ground.binding.check),
        park_seconds=settings.retry.park_seconds,
        slice_seconds=settings.worker.slice_seconds,
        clock=clock.monotonic,
        stopping=stopping.asked,
    )


def _caller(
    ground: Ground, budget: PatientBudget, books: PatientLedger, accounts: Accounts
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


def _postings(ground: Ground) -> Callable[[CampaignId], Posting]:
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
            carrier=SesCarrier(
                partial(ground.clients.sending, account),
                region=own.region,
                changed=partial(ground.clients.changed, account, "send"),
            ),
            rest=rest,
            calls=calls,
            bulk_call_size=settings.worker.bulk_call_size,
            bulk_call_bytes=settings.worker.bulk_call_bytes,
        )

    return Compiler(
        records=Live(ground.store),
        senders=settings.senders,
        delivery=delivery,
        unknown=ground.binding.unknown,
        waiting=store_waits(ground.stopping.sleep, ground.stopping.asked),
    ).cached()
