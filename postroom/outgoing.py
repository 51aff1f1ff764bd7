"""Messages as services hand them in by the hundred."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from postroom.model import Message, OnAmbiguous, Recipient


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One of many messages that are handed in together."""

    message: Message
    recipient: Recipient | Mapping[str, Any] | str
    """A recipient, a mapping with `email`, or an address."""
    key: str | None = None
    """The same key again sends nothing."""


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A whole mail as MIME, to up to 50 recipients, each of whom is a message of its own.

    It goes as it is: no template is evaluated, attachments stay what they are. Who gets it is
    said by `recipients` alone, as in SMTP; a Bcc header is taken off.
    """

    mime: bytes
    sender: str
    """A name of the settings' `[senders]`; it gives account, Region and configuration set."""
    recipients: Sequence[str]
    tags: Mapping[str, str] = field(default_factory=dict)
    configuration_set: str = ""
    """In place of the sender's."""
    not_after: datetime | None = None
    on_ambiguous: OnAmbiguous = OnAmbiguous.SKIP
