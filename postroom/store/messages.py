"""Single messages: campaigns of one recipient that need no producer."""

from typing import Final

from postroom import wire
from postroom.errors import MaybeSubmittedError, StoreUnavailableError
from postroom.meaning import Meaning, encoded
from postroom.model import AccountName, CampaignId, Outcome, Recipient
from postroom.settings import Store as StoreSettings
from postroom.store.connection import Store
from postroom.store.drafts import DraftGoneError, Drafts
from postroom.store.finish import Finisher


class Messages:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store, drafts: Drafts, settings: StoreSettings) -> None:
        self._store: Final = store
        self._drafts: Final = drafts
        self._finisher: Final = Finisher(store, retention_seconds=settings.retention_seconds)
        self._retention: Final = settings.message_retention_seconds

    def post(
        self,
        campaign_id: CampaignId,
        recipient: Recipient,
        *,
        account: AccountName,
        means: Meaning | None,
        suppressed: bool,
        key: str,
    ) -> None:
        """Make an open draft a message to one recipient.

        Raises `DraftGoneError`, and `MaybeSubmittedError` when Redis did not say whether it did.
        """
        outcome = Outcome.SUPPRESSED if suppressed else Outcome.PENDING
        batch = wire.encode_recipients([recipient])
        self._drafts.make_ready(campaign_id, key=key)
        keys = self._store.keys.campaign(campaign_id)
        try:
            posted = self._store.run(
                "post_message",
                [keys.campaign, keys.batches, keys.ledger, keys.due],
                [
                    *(account, batch, wire.LEDGER[outcome], outcome.value, self._retention),
                    *(means.bound if means else "", encoded(means) if means else ""),
                ],
            )
        except StoreUnavailableError as error:
            raise MaybeSubmittedError(campaign_id) from error
        if suppressed and posted:
            self._finisher.finish(campaign_id)
        if not posted:
            raise DraftGoneError(f"message {campaign_id} expired before it was complete")
