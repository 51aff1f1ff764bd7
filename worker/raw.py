"""A mail that goes as it is, one recipient a call."""

from email.parser import BytesHeaderParser
from email.utils import parseaddr
from typing import Final

from postroom.content.entries import Raw
from postroom.model import CampaignId
from postroom.settings import Sender
from worker.mailbox import Mailbox


def _from_of(mime: bytes) -> str:
    """Return the address in its From; empty for more than one."""
    _, address = parseaddr(str(BytesHeaderParser().parsebytes(mime).get("from", "")))
    return address.lower()


class RawMailing:
    """What the calls of one raw message share; safe to share between threads."""

    def __init__(self, segment: CampaignId, raw: Raw, sender: Sender, from_: Mailbox) -> None:
        self.campaign_id: Final = segment
        self.mime: Final = raw.mime
        self.tags: Final = dict(raw.tags)
        self.configuration_set: Final = raw.configuration_set or sender.configuration_set
        self.identity_arn: Final = sender.identity_arn
        self.address: Final = from_.address
        self.is_foreign: Final = bool(raw.configuration_set) or (
            _from_of(raw.mime) != from_.address.lower()
        )
        """Whether its From or its configuration set is another than the sender's."""
