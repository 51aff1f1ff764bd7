"""What is probably not meant so in a campaign: warnings, for its author may want just that."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from postroom.content.sandbox import BODY_PARTS
from postroom.model import Campaign, Lane

_OTHERS_TAG: Final = re.compile(
    r"\*\|[A-Za-z][\w:]{0,60}\|\*"  # Mailchimp
    r"|%%[A-Za-z_]\w{0,60}%%"  # Salesforce
    # ActiveCampaign and many more; two hexadecimal digits are a character in a URL.
    r"|%(?![0-9A-Fa-f]{2})[A-Za-z]\w{1,60}%"
    r"|\[\[ {0,3}[A-Za-z_]\w{0,60} {0,3}\]\]"  # Mailjet and others
    r"|\{\$[A-Za-z_]\w{0,60}\}"  # Smarty, MailerLite
    r"|\$\{[A-Za-z_]\w{0,60}\}"
    r"|<<[A-Za-z_]\w{0,60}>>"
)
_NAME: Final = re.compile(r"[A-Za-z_]\w*")


class Advice(NamedTuple):
    what: str
    detail: str


def advice_on(campaign: Campaign) -> Iterator[Advice]:
    """Yield what its author should look at."""
    for part in BODY_PARTS:
        source = getattr(campaign, part) or ""
        if tag := _OTHERS_TAG.search(source):
            line = source.count("\n", 0, tag.start()) + 1
            name = _NAME.search(tag[0])
            meant = f"; here it is {{{{ {name[0]} }}}}" if name else ""
            yield Advice(
                "merge tags",
                f"{part}, line {line}: {tag[0]} is another system's tag and stays as it is{meant}",
            )
    if campaign.lane is Lane.BULK and not _unsubscribes(campaign):
        yield Advice(
            "unsubscribe",
            "no one-click unsubscribe, which Gmail and Yahoo ask of bulk mail: set unsubscribe_url",
        )
    if campaign.html and not campaign.text:
        yield Advice("text", "HTML without a text part: some readers and filters want one")


def _unsubscribes(campaign: Campaign) -> bool:
    named = any(name.lower() == "list-unsubscribe" for name in campaign.headers)
    return bool(campaign.unsubscribe_url) or named
