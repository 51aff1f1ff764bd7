"""From templates to mail: one campaign in a worker, rendered for SendBulkEmail or SendEmail.

SES's inline templates know `{{name}}` only and escape nothing. A campaign whose templates hold
plain placeholders only goes as such a template with values per recipient, escaped here for
HTML; any other is rendered here per recipient. Both make the same mail to the byte.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from postroom.content.sandbox import BODY_PARTS, SHOW, plain_placeholders
from postroom.content.template import (
    Headers,
    RenderedMail,
    Templates,
    UnrenderableError,
    Values,
    missing_field,
)
from postroom.model import Campaign, CampaignId, Recipient
from postroom.settings import Sender
from worker.bulk import (
    FRAME_BYTES,
    BulkEntry,
    BulkTemplate,
    TooLargeForBulkError,
    carrying,
    placeholder,
    template_of,
)
from worker.mailbox import mailbox
from worker.ses.verdict import Fault

MAX_DATA_CHARACTERS: Final = 262_144
MAX_CALL_BYTES: Final = 900_000
"""SES takes 1 MB of inline template and its data; the rest is room for the frame."""
MAX_MESSAGE_BYTES: Final = 40 * 1024 * 1024
_BASE64_GROWTH: Final = 1.37


class _Slot(NamedTuple):
    """One key of the template data: which field it shows, and how."""

    key: str
    part: str
    name: str
    show: Callable[[object], str]

    @property
    def placeholder(self) -> str:
        return placeholder(self.key)


class Mailing:
    """One campaign ready to be sent; safe to share between threads."""

    def __init__(self, campaign_id: CampaignId, campaign: Campaign, sender: Sender) -> None:
        """Raises `BadInputError` when a template or an address of the sender cannot be used."""
        where = f"settings: senders.{campaign.sender}"
        self.campaign_id = campaign_id
        self.sender = sender
        self.from_ = mailbox(sender.from_, where=f"{where}.from")
        self.reply_to = tuple(mailbox(one, where=f"{where}.reply_to") for one in sender.reply_to)
        self.tags = dict(campaign.tags)
        self._templates = Templates(campaign)
        self._frame_bytes = FRAME_BYTES + len(msgspec.json.encode(self.tags))
        self.parts = tuple(part for part in BODY_PARTS if getattr(campaign, part) is not None)
        plain = self._plain(campaign)
        self._slots = None if plain is None else plain[0]
        self.template = self._carrying() if plain is None else plain[1]
        self.template_size = self.template.size
        """Bytes that every SendBulkEmail call of this campaign carries beside its entries."""

    def of(self, recipient: Recipient) -> "Mailing":
        """Return what makes the mail of a recipient: this, for all of a campaign."""
        del recipient
        return self

    def kind(self, recipient: Recipient) -> Hashable:
        """Return what those have in common who may go in one call."""
        del recipient
        return None

    def is_late(self, recipient: Recipient) -> bool:
        """A campaign's time ends for all of it, in its books."""
        del recipient
        return False

    def is_at_fault(self, recipient: Recipient, fault: Fault) -> bool:
        """What SES refuses of one mail of a campaign, it refuses of all."""
        del recipient, fault
        return False

    def frame(self, recipients: Sequence[Recipient]) -> "Mailing":
        """Return what a SendBulkEmail to these shares, and what makes their entries."""
        del recipients
        return self

    @property
    def is_plain(self) -> bool:
        """Whether SES fills the placeholders itself."""
        return self._slots is not None

    def message(self, recipient: Recipient) -> RenderedMail:
        """Return the whole mail of one recipient. Raises `UnrenderableError`."""
        return _checked_size(self._templates.message(self._templates.values(recipient)))

    def bulk_entry(self, index: int, recipient: Recipient) -> BulkEntry:
        """Return one recipient's entry of a SendBulkEmail call.

        Raises `UnrenderableError`, and `TooLargeForBulkError` for what `message` still makes.
        """
        values = self._templates.values(recipient)
        data = self._whole(values) if self._slots is None else _filled(self._slots, values)
        encoded = _encoded(data)
        return self._entry(index, recipient, encoded, self._templates.own_headers(values))

    def carried_entry(self, index: int, recipient: Recipient) -> BulkEntry:
        """Return one recipient's entry of a call whose template only carries what is rendered here.

        Its headers and tags are all its own. Raises as `bulk_entry` does.
        """
        values = self._templates.values(recipient)
        headers = (*self.template.headers, *self._templates.own_headers(values))
        tags = tuple(self.tags.items())
        return self._entry(index, recipient, _encoded(self._whole(values)), headers, tags)

    def _entry(
        self,
        index: int,
        recipient: Recipient,
        encoded: bytes,
        headers: Headers,
        tags: Headers = (),
    ) -> BulkEntry:
        # Inside the request the data is a JSON string: quotes and backslashes are escaped again.
        size = len(encoded) + encoded.count(b'"') + encoded.count(b"\\") + self._frame_bytes
        size += sum(len(value) for _, value in headers) + len(recipient.email)
        if len(encoded) > MAX_DATA_CHARACTERS or size + self.template_size > MAX_CALL_BYTES:
            raise TooLargeForBulkError(f"{size} bytes")
        return BulkEntry(index, recipient.email, encoded.decode(), headers, size, tags)

    def _whole(self, values: Values) -> dict[str, str]:
        message = _checked_size(self._templates.message(values))
        parts = zip(BODY_PARTS, message[:3], strict=True)
        return {part: text for part, text in parts if text is not None}

    def _carrying(self) -> BulkTemplate:
        """Return a template that carries mails rendered here."""
        return carrying(self.parts, self._templates.headers)

    def _plain(self, campaign: Campaign) -> tuple[tuple[_Slot, ...], BulkTemplate] | None:
        slots: dict[tuple[str, str], _Slot] = {}
        sources: dict[str, str] = {}
        for part in self.parts:
            pieces = plain_placeholders(part, getattr(campaign, part))
            if pieces is None:
                return None
            sources[part] = "".join(
                piece if isinstance(piece, str) else _slot(slots, part, piece.name).placeholder
                for piece in pieces
            )
        return tuple(slots.values()), template_of(sources, self._templates.headers)


def _encoded(data: Mapping[str, str]) -> bytes:
    try:
        return msgspec.json.encode(data)
    except UnicodeEncodeError:
        raise UnrenderableError("a field holds text that is not valid Unicode") from None


def _filled(slots: Sequence[_Slot], values: Values) -> dict[str, str]:
    data = {}
    for key, part, name, show in slots:
        try:
            data[key] = show(values[name])
        except KeyError:
            raise missing_field(part, name) from None
    return data


def _checked_size(message: RenderedMail) -> RenderedMail:
    parts = [part for part in message[:3] if part]
    if sum(map(len, parts)) * 4 * _BASE64_GROWTH > MAX_MESSAGE_BYTES:  # Worth counting exactly.
        size = sum(len(part.encode()) for part in parts)
        if size * _BASE64_GROWTH > MAX_MESSAGE_BYTES:
            raise UnrenderableError("the mail is larger than the 40 MB that SES takes")
    return message


def _slot(slots: dict[tuple[str, str], _Slot], part: str, name: str) -> _Slot:
    """Return the key for one field in one part: it looks different in subject, HTML and text."""
    slot = _Slot(f"{part[0]}{len(slots)}", part, name, SHOW[part])
    return slots.setdefault((part, name), slot)
