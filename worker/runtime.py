"""One worker process, put together: every part is built here and handed what it needs."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from postroom import clock, remedies
from postroom.broker.publish import Publisher
from postroom.errors import BadInputError
from postroom.health.announcing import OwnProcess
from postroom.model import AccountName, BatchRef, CampaignId
from postroom.settings import Settings
from postroom.store.connection import Store, check_safety
from postroom.store.dispatch import Dispatch
from postroom.store.event_log import EventLog
from postroom.store.live import Live
from postroom.store.segments import Segments
from postroom.store.sender_registry import SenderRegistry
from postroom.store.suppression import Suppression
from worker.account.circuit_breaker import CircuitBreaker
from worker.account.feedback import AccountFeedback
from worker.account.limiter import Limiter
from worker.account.poller import AccountPoller
from worker.account.retrying import RetryingBudget, RetryingLedger
from worker.components import Components, build_components
from worker.fitness import Fitness
from worker.process import loops
from worker.process.batch_loop import BatchLoop, Worked
from worker.process.heartbeat import Heartbeat
from worker.process.maintenance import Maintenance
from worker.sending.call_pool import CallPool
from worker.sending.calls import Caller
from worker.sending.compiled import CampaignCache
from worker.sending.delivery import BulkRest, Delivery, Mailings
from worker.sending.retry import store_waits
from worker.sending.sender import Sender
from worker.sending.suppression_check import SuppressionCheck
from worker.sending.work import CompiledCampaign
from worker.ses.request import SesCarrier
from worker.stopping import Stopping

log = structlog.get_logger()

_UNKNOWN: Final = 32
"""Campaigns of unknown senders that are passed by; picking turns looks at no more."""


_SHARED_WAIT_SECONDS: Final = 0.05
"""To put a batch back and take it again costs some scripts, about a millisecond in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """The parts of one process that its tasks and its upkeep use."""

    name: str
    settings: Settings
    store: Store
    dispatch: Dispatch
    publisher: Publisher
    sender: Sender
    cache: Callable[[CampaignId], CompiledCampaign]
    heartbeat: Callable[[int], Heartbeat]
    """For so many batches at once."""
    maintenance: Callable[[], Maintenance]
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
        loop = BatchLoop(
            worker=self.name,
            sender=self.sender,
            cache=self.cache,
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
            return loop.work(ref)


def build(settings: Settings, *, stopping: Stopping, store: Store | None = None) -> Worker:
    """Put a worker together, over a store of its own unless one is given.

    Nothing is asked of Redis or SES yet.
    """
    components = build_components(settings, stopping, store)
    cache = _cache(components)
    quota = loops.quota(components)
    return Worker(
        name=components.worker,
        settings=settings,
        store=components.store,
        dispatch=components.dispatch,
        publisher=components.publisher,
        sender=_sender(components, quota, cache),
        cache=cache,
        heartbeat=partial(loops.heartbeat, components),
        maintenance=partial(loops.maintenance, components, quota),
        stopping=stopping,
        fitness=components.fitness,
        tell_end=components.finishing.tell,
        unknown=deque(maxlen=_UNKNOWN),
        process=components.process,
    )


def check(worker: Worker) -> None:
    """Look at Redis before the first batch, and tell others which senders this worker knows.

    Raises `UnsafeStoreError`, `StoreUnavailableError`.
    """
    for warning in check_safety(worker.store, worker.settings.redis):
        command = remedies.redis_config(worker.settings.redis.url, "appendonly yes")
        log.warning("redis.unsafe", reason=warning, command=command)
    SenderRegistry(worker.store).announce(worker.settings.senders)


def _sender(
    components: Components, quota: AccountPoller, cache: Callable[[CampaignId], CompiledCampaign]
) -> Sender:
    settings, stopping = components.settings, components.stopping
    waiting = store_waits(stopping.sleep, stopping.asked)
    settling = store_waits(clock.sleep, stopping.overdue)
    budget = RetryingBudget(components.budget, waiting)
    books = RetryingLedger(components.ledger, waiting, settling=settling)
    accounts = AccountFeedback(
        budgets=budget,
        holds=components.dispatch,
        log=EventLog(components.store),
        quota=quota,
        fitness=components.fitness,
        decrease=settings.limiter.decrease,
        refresh_seconds=settings.limiter.refresh_seconds,
    )
    return Sender(
        books=books,
        accounts=accounts,
        caller=_caller(components, budget, books, accounts),
        cache=cache,
        check_meaning=partial(waiting, components.binding.check),
        park_seconds=settings.retry.park_seconds,
        slice_seconds=settings.worker.slice_seconds,
        clock=clock.monotonic,
        stopping=stopping.asked,
    )


def longest_wait(settings: Settings) -> float:
    """Return for how long a batch in hand waits for tokens, in seconds.

    Where a process has more accounts than slots, a slot that waits for one account is missed by
    another: the batch is put back, and its account is not asked until it has tokens.
    """
    worker = settings.worker
    if len(settings.accounts) <= worker.slots:
        return worker.max_wait_seconds
    return min(_SHARED_WAIT_SECONDS, worker.max_wait_seconds)


def _caller(
    components: Components, budget: RetryingBudget, books: RetryingLedger, accounts: AccountFeedback
) -> Caller:
    settings, stopping = components.settings, components.stopping
    waiting = store_waits(stopping.sleep, stopping.asked)
    return Caller(
        books=books,
        accounts=accounts,
        limiter=Limiter(
            token_source=budget,
            sleep=stopping.sleep,
            stopping=stopping.asked,
            max_wait_seconds=longest_wait(settings),
        ),
        suppression=SuppressionCheck(Suppression(components.store), waiting, clock.monotonic),
        breaker=CircuitBreaker(
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


def _cache(components: Components) -> Callable[[CampaignId], CompiledCampaign]:
    settings = components.settings
    calls = CallPool(
        settings.worker.single_calls,
        clock=clock.monotonic,
        stopping=components.stopping.asked,
        max_wait_seconds=settings.worker.max_wait_seconds,
    )
    rest = BulkRest(clock.monotonic, rest_seconds=settings.limiter.bulk_rest_seconds)

    def delivery(account: AccountName, mailings: Mailings) -> Delivery:
        own = settings.accounts[account]
        with suppress(BadInputError):  # A verdict of each call; here no recipient waits for it.
            components.clients.sending(account)
        return Delivery(
            account=account,
            mode=own.send_mode,
            mailings=mailings,
            carrier=SesCarrier(
                partial(components.clients.sending, account),
                region=own.region,
                changed=partial(components.clients.changed, account),
            ),
            rest=rest,
            calls=calls,
            bulk_call_size=settings.worker.bulk_call_size,
            bulk_call_bytes=settings.worker.bulk_call_bytes,
        )

    return CampaignCache(
        records=Live(components.store),
        segments=Segments(components.store),
        senders=settings.senders,
        delivery=delivery,
        unknown=components.binding.unknown,
        clock=clock.boottime,
        waiting=store_waits(components.stopping.sleep, components.stopping.asked),
    ).cached()
