"""A message as a campaign of one, and a campaign once more."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from postroom.content.address import sendable
from postroom.content.fields import fields_of, filled
from postroom.errors import BadInputError
from postroom.model import Campaign, Lane, Message, Recipient, SenderName


def campaign_of(sender: str, message: Message) -> Campaign:
    """Return the campaign of one recipient that carries a message past all bulk work."""
    return Campaign(
        name=message.subject,
        sender=SenderName(sender),
        subject=message.subject,
        html=message.html,
        text=message.text,
        headers=message.headers,
        tags=message.tags,
        keep_blank=message.keep_blank,
        not_after=message.not_after,
        on_ambiguous=message.on_ambiguous,
        batch_size=1,
        lane=Lane.TRANSACTIONAL,
    )


def again(campaign: Campaign) -> Campaign:
    """Return a campaign to be sent once more: at once, and with no end to its time."""
    return replace(campaign, name=f"{campaign.name} (retry)", send_at=None, not_after=None)


def whole(campaign: Campaign, recipient: Recipient) -> Recipient:
    """Return the recipient without what is blank. Raises `BadInputError` for what it then lacks."""
    fields = fields_of(campaign)
    kept = filled(recipient, fields)
    if lacking := sorted(fields.required - kept.fields.keys()):
        blank = f" ({lacking[0]} is blank)" if lacking[0] in recipient.fields else ""
        raise BadInputError(
            f"recipient: the templates name what it lacks: {', '.join(lacking)}{blank}"
        )
    return kept


def recipient_of(given: Recipient | Mapping[str, Any] | str) -> Recipient:
    """Return whoever was named, with the address as SES takes it. Raises `BadInputError`."""
    if isinstance(given, str):
        return Recipient(sendable(given))
    if isinstance(given, Recipient):
        return Recipient(sendable(given.email), given.fields)
    if not isinstance(given, Mapping) or not isinstance(given.get("email"), str):
        raise BadInputError("recipient: it is neither an address nor a mapping with `email`")
    fields = {name: value for name, value in given.items() if name != "email"}
    return Recipient(sendable(given["email"]), fields)
