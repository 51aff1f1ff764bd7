"""Takes campaigns in: checked, under their key, and safely on Redis."""

from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, Final

from postroom import clock
from postroom.broker.publish import Publisher
from postroom.content.checks import check_key
from postroom.errors import MaybeSubmittedError, StoreUnavailableError
from postroom.ids import new_campaign_id
from postroom.model import (
    Campaign,
    CampaignId,
    Source,
    Submission,
)
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.drafts import Drafts, digest
from postroom.store.sender_registry import SenderRegistry
from postroom.submission.shipping import Given, Recipients, Shipper


class Submitter:
    """What `Postroom` does when it is given something to send; see there for the contracts."""

    def __init__(self, store: Store, settings: Settings, publisher: Publisher) -> None:
        self._store: Final = store
        self._settings: Final = settings
        self._publisher: Final = publisher
        self._drafts: Final = Drafts(store, settings.store)

    def submit(
        self,
        campaign: Campaign,
        recipients: Recipients | None = None,
        *,
        raw: BinaryIO | None = None,
        source: str | None = None,
        key: str | None = None,
        strict: bool = False,
        email_column: str | None = None,
        by: str = "",
    ) -> Submission:
        where = Source(url=source, strict=strict, email_column=email_column)
        given = Given(recipients=recipients, raw=raw, source=source, email_column=email_column)
        chunks = given.chunks(campaign, senders=self._known_senders())
        campaign_id = new_campaign_id(clock.now)
        if known := self._claimed(key, campaign_id, digest(campaign, where)):
            return known

        def take_in() -> None:
            shipper = Shipper(self._store, self._drafts)
            shipper.check_room()
            self._drafts.open(campaign_id, campaign, where, key=key or "")
            count = shipper.ship(campaign_id, chunks, key=key or "")
            self._drafts.seal(campaign_id, pages=count, key=key or "", by=by)

        self._whole_or_not(campaign_id, key, take_in)
        # Sealed is submitted: when the broker is away, the workers' tick asks for the split.
        with suppress(StoreUnavailableError):
            self._publisher.split(campaign_id, campaign.name)
        return Submission(id=campaign_id, created=True)

    def _claimed(self, key: str | None, campaign_id: CampaignId, mark: str) -> Submission | None:
        """Claim a key for a new campaign; what it named before, if it did."""
        if key is None:
            return None
        check_key(key)
        known = self._drafts.claim_key(key, campaign_id, digest=mark)
        if known is None:
            return None
        return Submission(id=known[0], created=False, same_content=known[1] == mark)

    def _known_senders(self) -> frozenset[str]:
        return frozenset(self._settings.senders or SenderRegistry(self._store).senders())

    def _whole_or_not(
        self, campaign_id: CampaignId, key: str | None, take_in: Callable[[], None]
    ) -> None:
        """Take a campaign in; when that fails, leave no trace of it, if Redis lets us.

        Returns when it is sealed. Raises what `take_in` raised, be it of the caller's own
        iterable; `MaybeSubmittedError` only when Redis cannot be asked what became of it.
        """
        try:
            take_in()
        except StoreUnavailableError as error:
            if self._gone(campaign_id, key, error):
                raise _told(error) from None
        except BaseException:
            with suppress(StoreUnavailableError):
                self._drafts.discard(campaign_id, key=key or "")
            raise

    def _gone(self, campaign_id: CampaignId, key: str | None, error: StoreUnavailableError) -> bool:
        """Delete what is left of a draft; False when it was sealed after all."""
        try:
            return self._drafts.discard(campaign_id, key=key or "")
        except StoreUnavailableError:
            raise error from None


def _told(error: StoreUnavailableError) -> BaseException:
    """Return what to say once it is known that nothing was taken in."""
    doubted = isinstance(error, MaybeSubmittedError)
    return error.__cause__ if doubted and error.__cause__ else error
