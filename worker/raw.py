"""A mail that goes as it is, one recipient a call."""

from typing import Final

from postroom.content.entries import Raw
from postroom.model import CampaignId
from postroom.settings import Sender
from worker.mailbox import Mailbox


class RawMailing:
    """What the calls of one raw message share; safe to share between threads."""

    def __init__(self, segment: CampaignId, raw: Raw, sender: Sender, from_: Mailbox) -> None:
        self.campaign_id: Final = segment
        self.mime: Final = raw.mime
        self.tags: Final = dict(raw.tags)
        self.configuration_set: Final = raw.configuration_set or sender.configuration_set
        self.identity_arn: Final = sender.identity_arn
        self.address: Final = from_.address
