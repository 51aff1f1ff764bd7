"""Takes campaigns and messages in: checked, under their key, and safely on Redis."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO, Final

from postroom import clock
from postroom.broker.publish import Publisher
from postroom.content.address import normal
from postroom.content.checks import check
from postroom.dispatch.release import release
from postroom.errors import BadInputError, MaybeSubmittedError, RefusedError, StoreUnavailableError
from postroom.ids import new_campaign_id
from postroom.meaning import Meaning, meanings
from postroom.model import (
    AccountName,
    Campaign,
    CampaignId,
    Message,
    Recipient,
    SenderName,
    Source,
    Submission,
)
from postroom.settings import Settings
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.drafts import Drafts, digest
from postroom.store.messages import Messages
from postroom.store.sender_registry import SenderRegistry
from postroom.store.suppression import Suppression
from postroom.submission.messages import campaign_of, recipient_of, whole
from postroom.submission.shipping import Given, Recipients, Shipper

_MAX_KEY: Final = 500


class Submitter:
    """What `Postroom` does when it is given something to send; see there for the contracts."""

    def __init__(self, store: Store, settings: Settings, publisher: Publisher) -> None:
        self._store: Final = store
        self._settings: Final = settings
        self._publisher: Final = publisher
        self._drafts: Final = Drafts(store, settings.store)
        self._campaigns: Final = Campaigns(store, settings.store)
        self._dispatch: Final = Dispatch(store, settings)
        self._means: Final = meanings(settings)
        self._messages: Final = Messages(store, self._drafts, settings.store)

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
            self._drafts.seal(campaign_id, pages=count, key=key or "")

        self._whole_or_not(campaign_id, key, take_in)
        # Sealed is submitted: when the broker is away, the workers' tick asks for the split.
        with suppress(StoreUnavailableError):
            self._publisher.split(campaign_id, campaign.name)
        return Submission(id=campaign_id, created=True)

    def send(
        self,
        sender: str,
        message: Message,
        recipient: Recipient | Mapping[str, Any] | str,
        *,
        key: str | None = None,
    ) -> Submission:
        one = recipient_of(recipient)
        campaign = campaign_of(sender, message)
        account = self._account_of(campaign)
        one = whole(campaign, one)
        campaign_id = new_campaign_id(clock.now)
        if known := self._claimed(key, campaign_id, digest(campaign, Source(), one)):
            if not known.same_content:
                raise RefusedError(f"key {key!r}: it was used for another message, {known.id}")
            return known

        def take_in() -> None:
            suppressed = bool(Suppression(self._store).find([normal(one.email)]))
            self._drafts.open(campaign_id, campaign, Source(), key=key or "", listed=False)
            self._messages.post(
                campaign_id,
                one,
                account=account,
                means=self._meaning_of(SenderName(campaign.sender), account),
                suppressed=suppressed,
                key=key or "",
            )

        self._whole_or_not(campaign_id, key, take_in)
        with suppress(StoreUnavailableError):  # It is queued; the workers' tick finds it.
            self._go(campaign_id)
        return Submission(id=campaign_id, created=True)

    def _claimed(self, key: str | None, campaign_id: CampaignId, mark: str) -> Submission | None:
        """Claim a key for a new campaign; what it named before, if it did."""
        if key is None:
            return None
        if not 0 < len(key) <= _MAX_KEY:
            raise BadInputError(f"key: it must have 1 to {_MAX_KEY} characters")
        known = self._drafts.claim_key(key, campaign_id, digest=mark)
        if known is None:
            return None
        return Submission(id=known[0], created=False, same_content=known[1] == mark)

    def _account_of(self, campaign: Campaign) -> AccountName:
        """Check a campaign that no producer will see, and find the account that sends it."""
        check(campaign, senders=self._known_senders())
        if sender := self._settings.senders.get(campaign.sender):
            return AccountName(sender.account)
        account = SenderRegistry(self._store).account_of(SenderName(campaign.sender))
        if account is None:
            raise BadInputError(f"sender: {campaign.sender!r} is unknown")
        return account

    def _meaning_of(self, sender: SenderName, account: AccountName) -> Meaning | None:
        """Return what a sender means to those who send; else to these settings."""
        told = SenderRegistry(self._store).meaning_of(sender) or self._means.get(sender)
        return told if told and told.account == account else None

    def _go(self, campaign_id: CampaignId) -> None:
        """Put a campaign in line and release what there is room for."""
        if route := self._campaigns.info(campaign_id).route(campaign_id):
            self._dispatch.wake(route)
            release(self._dispatch, self._publisher)

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
