"""Shows mails before anything is sent."""

from collections.abc import Mapping
from typing import Any, Final

from postroom.checks import check
from postroom.errors import BadInputError
from postroom.fields import fields_of, filled
from postroom.messages import recipient_of
from postroom.model import Campaign, Mail, Recipient
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.directory import Directory, SenderAddresses
from postroom.template import Templates, UnrenderableError


class Preview:
    """What `Postroom.render` does; see there for the contract."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._settings: Final = settings
        self._directory: Final = Directory(store)

    def render(self, campaign: Campaign, recipient: Recipient | Mapping[str, Any] | str) -> Mail:
        check(campaign, senders=self._settings.senders or self._directory.senders())
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

    def _addresses(self, sender: str) -> SenderAddresses:
        if own := self._settings.senders.get(sender):
            return SenderAddresses(from_=own.from_, reply_to=tuple(own.reply_to))
        return self._directory.addresses(sender)
