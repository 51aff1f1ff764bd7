"""Splits campaigns as they are asked for: one lease, one source, one way out for each trouble."""

from collections.abc import Iterator
from contextlib import suppress
from threading import Event
from traceback import format_tb
from typing import Final
from uuid import uuid4

import msgspec
import structlog

from postroom import clock
from postroom.broker.publish import Publisher
from postroom.dispatch.finishing import Finishing
from postroom.errors import (
    BadInputError,
    NeedsPersonError,
    NewerFormatError,
    StoreUnavailableError,
    UnknownCampaignError,
    UnreadableSourceError,
)
from postroom.meaning import Meaning, meanings
from postroom.model import AccountName, CampaignId, SenderName, Source
from postroom.settings import Settings
from postroom.store.aliases import Aliases
from postroom.store.connection import Store
from postroom.store.split import SplitLease, SplitLostError, Splits
from postroom.store.suppression import Suppression
from producers.counters import Counters
from producers.dispatch_hint import DispatchHint
from producers.retrying import StopRequested, StoreRetry
from producers.sources import read_pages, read_url
from producers.split import RefusedListError, Split
from producers.writing import Writer, WriterContext

log = structlog.get_logger()


class Producer:
    """One producer process. Waits while Redis is away; on `stop` leaves its work to another."""

    def __init__(self, settings: Settings, store: Store, stop: Event) -> None:
        self._settings: Final = settings
        self._store: Final = store
        self._patience: Final = StoreRetry(stop)
        self._splits: Final = Splits(store, settings)
        self._suppression: Final = Suppression(store)
        self._publisher: Final = Publisher(settings.redis)
        self._finishing: Final = Finishing.from_settings(store, settings, self._publisher)
        self._means: Final = meanings(settings)
        self._aliases: Final = Aliases(store)

    def split(self, campaign_id: CampaignId) -> str:
        """Cut a campaign into batches; return how that ended, for people.

        Harmless when another does it, or it is done.

        Raises `StopRequested` when the process is to end: the lease is free, so give the task
        back and let another producer go on.
        """
        try:
            found = self._patience.ask(lambda: self._splits.look_up(campaign_id))
            if found is None:
                log.info("split.nothing_to_do")
                return "nothing to do: no such campaign"
            sender, source = found
            lease = self._claim(campaign_id, sender)
            return "nothing to do" if lease is None else self._split(lease, sender, source)
        except NewerFormatError as error:
            log.warning("split.newer_format", reason=str(error))
            return f"left to others: {error}"
        except NeedsPersonError as error:
            log.warning("campaign.halted", reason=str(error))
            return f"halted: {error}"

    def _claim(self, campaign_id: CampaignId, sender: SenderName) -> SplitLease | None:
        owner, account = uuid4().hex, self._account_of(sender)
        means = self._patience.ask(lambda: self._meaning_of(sender))
        lease = self._patience.ask(
            lambda: self._splits.claim(campaign_id, owner=owner, account=account, means=means)
        )
        if lease is None:
            log.info("split.nothing_to_do")
            return None
        log.info("split.begun", fence=lease.fence, batches=lease.batches)
        return lease

    def _split(self, lease: SplitLease, sender: SenderName, source: Source) -> str:
        try:
            self._check_sender(sender)
            finished = self._run(lease, source)
        except SplitLostError as error:
            log.info("split.lost", reason=str(error))
            return "left to others: another producer has taken over"
        except (UnreadableSourceError, BadInputError, UnknownCampaignError) as error:
            read = error.counters if isinstance(error, RefusedListError) else None
            return self._leave(lease, halted=str(error), counters=read)
        except StopRequested:
            self._let_go(lease)
            raise
        except (NewerFormatError, StoreUnavailableError):
            raise
        except Exception as error:  # noqa: BLE001 - logged, but for its words
            # It would come again: halted it says so, and a person may resume it. Its words stay
            # out of the log: they may be a piece of the source.
            name, where = type(error).__name__, "".join(format_tb(error.__traceback__))
            log.error("split.failed", reason=name, where=where)
            return self._leave(lease, halted=f"the producer failed ({name}); see its log")
        if finished:
            self._end(lease.campaign_id)
        log.info("split.done", finished=finished)
        return "split; nobody is to be mailed" if finished else "split"

    def _end(self, campaign_id: CampaignId) -> None:
        """Nobody is left to be mailed: the campaign ends here, and no worker sees it."""
        with suppress(StoreUnavailableError):  # Else the workers' janitor tells it.
            self._finishing.tell(campaign_id)
        self._finishing.campaigns.retire(campaign_id)

    def _run(self, lease: SplitLease, source: Source) -> bool:
        campaign = self._patience.ask(lambda: self._splits.campaign(lease.campaign_id))
        context = WriterContext(
            splits=self._splits,
            line=DispatchHint(self._store, self._settings, self._publisher),
            patience=self._patience,
            memory_share=self._store.memory_share,
            clock=clock.now,
            lease_seconds=self._settings.producer.lease_seconds,
        )
        writer = Writer(context, lease, held_back=source.strict)
        split = Split(writer, self._suppression, self._patience)
        return split.run(lease, campaign, source, self._chunks(lease.campaign_id, source))

    def _chunks(self, campaign_id: CampaignId, source: Source) -> Iterator[bytes]:
        if source.url is not None:
            return read_url(source.url, self._patience.wait, self._settings.producer)
        count = self._patience.ask(lambda: self._splits.pages(campaign_id))
        return read_pages(_RetryingPages(self._splits, self._patience, campaign_id), count)

    def _leave(self, lease: SplitLease, *, halted: str, counters: Counters | None = None) -> str:
        counts = counters.counts if counters else None
        notes = counters.take_notes() if counters else ()
        self._patience.ask(
            lambda: self._splits.leave(lease, halted=halted, counts=counts, notes=notes)
        )
        log.warning("campaign.halted", reason=halted)
        return f"halted: {halted}"

    def _let_go(self, lease: SplitLease) -> None:
        """Let another producer go on at once, or else when the lease lapses."""
        try:
            self._splits.leave(lease)
        except StoreUnavailableError as error:
            log.warning("split.lease_kept", reason=str(error))
        log.info("split.handed_on")

    def _check_sender(self, sender: SenderName) -> None:
        if self._account_of(sender) is None:
            raise BadInputError(f"this producer's settings have no sender {sender!r}")

    def _meaning_of(self, sender: SenderName) -> Meaning | None:
        meaning = self._means.get(sender)
        if meaning is None:
            return None
        number = self._aliases.number(AccountName(meaning.account))
        return msgspec.structs.replace(meaning, aws=number)

    def _account_of(self, sender: SenderName) -> AccountName | None:
        known = self._settings.senders.get(sender)
        return AccountName(known.account) if known else None


class _RetryingPages:
    """The pages of one campaign, waited for while Redis is away."""

    def __init__(self, splits: Splits, patience: StoreRetry, campaign_id: CampaignId) -> None:
        self._splits: Final = splits
        self._patience: Final = patience
        self._campaign_id: Final = campaign_id

    def page(self, number: int) -> bytes | None:
        return self._patience.ask(lambda: self._splits.page(self._campaign_id, number))
