"""Shows mails before anything is sent."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from postroom.content.checks import check
from postroom.content.fields import fields_of, filled
from postroom.content.template import Templates, UnrenderableError
from postroom.errors import BadInputError
from postroom.messages.preparing import recipient_of
from postroom.model import Campaign, Mail, Recipient
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.sender_registry import SenderAddresses, SenderRegistry
from postroom.store.suppression import Suppression
from postroom.submission.shipping import Given, Recipients

if TYPE_CHECKING:
    from postroom.intake.look import Looked


class Preview:
    """What `Postroom.render` and `Postroom.check` do; see there for the contracts."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._settings: Final = settings
        self._registry: Final = SenderRegistry(store)
        self._suppression: Final = Suppression(store)

    def render(self, campaign: Campaign, recipient: Recipient | Mapping[str, Any] | str) -> Mail:
        check(campaign, senders=self._senders())
        to = filled(recipient_of(recipient), fields_of(campaign))
        templates = Templates(campaign)
        try:
            message = templates.message(templates.values(to))
        except UnrenderableError as error:
            raise BadInputError(str(error)) from None
        sender = self._addresses(campaign.sender)
        return Mail(
            from_=sender.from_,
            to=to.email,
            reply_to=sender.reply_to,
            subject=message.subject,
            html=message.html,
            text=message.text,
            headers=dict(message.headers),
        )

    def check(self, campaign: Campaign, recipients: Recipients) -> "Looked":
        from postroom.intake.look import look  # Who only submits does without it.

        given = Given(recipients=recipients, raw=None, source=None)
        chunks = iter(given.chunks(campaign, senders=self._senders()))
        return look(chunks, fields_of(campaign), suppressed=self._suppression.find)

    def _senders(self) -> Collection[str]:
        return self._settings.senders or self._registry.senders()

    def _addresses(self, sender: str) -> SenderAddresses:
        if own := self._settings.senders.get(sender):
            return SenderAddresses(from_=own.from_, reply_to=tuple(own.reply_to))
        return self._registry.addresses(sender)
