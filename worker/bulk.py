"""SendBulkEmail as we use it: what a call shares, and what is each entry's own."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import msgspec

from postroom.content.sandbox import HTML, SUBJECT, TEXT
from postroom.content.template import Headers
from postroom.errors import PostroomError
from postroom.model import CampaignId, Recipient
from postroom.settings import Sender
from worker.mailbox import Mailbox

_TEMPLATES_KEPT: Final = 256
FRAME_BYTES: Final = 512
"""Room for an entry's JSON around its address, data and headers: names, brackets, tags."""


class TooLargeForBulkError(PostroomError):
    """The mail does not fit into a SendBulkEmail entry: send it by itself. Nothing is wrong."""


class BulkEntry(msgspec.Struct, frozen=True):
    """One recipient of a SendBulkEmail call."""

    index: int
    to: str
    data: str
    """The recipient's template data, a JSON object."""
    headers: Headers
    size: int
    """Upper bound of its bytes in the request."""
    tags: Headers = ()
    """Beside those that all entries of the call share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkTemplate:
    """What the entries of a call share: the inline template and the headers."""

    subject: str
    html: str | None
    text: str | None
    headers: Headers

    @property
    def size(self) -> int:
        """Upper bound of its bytes in the request."""
        parts = (self.subject, self.html or "", self.text or "")
        return len(msgspec.json.encode([*parts, self.headers])) + FRAME_BYTES


class Frame(Hashable, Protocol):
    """What the entries of a SendBulkEmail share: those of a campaign, or of mixed messages."""

    @property
    def campaign_id(self) -> CampaignId: ...
    @property
    def sender(self) -> Sender: ...
    @property
    def from_(self) -> Mailbox: ...
    @property
    def reply_to(self) -> tuple[Mailbox, ...]: ...
    @property
    def tags(self) -> Mapping[str, str]: ...
    @property
    def template(self) -> BulkTemplate: ...
    @property
    def template_size(self) -> int: ...
    def bulk_entry(self, index: int, recipient: Recipient) -> BulkEntry: ...


def carrying(parts: Sequence[str], headers: Headers = ()) -> BulkTemplate:
    """Return a template whose placeholders are whole parts of a mail."""
    return template_of({part: placeholder(part) for part in parts}, headers)


def template_of(sources: Mapping[str, str], headers: Headers) -> BulkTemplate:
    return _shared(sources.get(SUBJECT, ""), sources.get(HTML), sources.get(TEXT), headers)


@lru_cache(maxsize=_TEMPLATES_KEPT)
def _shared(subject: str, html: str | None, text: str | None, headers: Headers) -> BulkTemplate:
    """Make one of its content only: a thousand messages have the same."""
    return BulkTemplate(subject=subject, html=html, text=text, headers=headers)


def placeholder(key: str) -> str:
    return "{{" + key + "}}"
