"""A segment of messages as a worker sends it: each message by its own templates, and those that
go together in one SendBulkEmail carried by a template of placeholders.
"""

import math
import zlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Final, NamedTuple

import msgspec

from postroom.clock import Clock
from postroom.content.entries import Entry, content, decode_entries
from postroom.content.template import UnrenderableError
from postroom.errors import BadInputError
from postroom.model import CampaignId, Recipient
from postroom.settings import Sender
from postroom.store.ledger import Claim
from worker.bulk import BulkEntry, Frame, carrying
from worker.mailbox import mailbox
from worker.raw import RawMailing
from worker.render import Mailing
from worker.sending.delivery import ALONE
from worker.ses.verdict import Fault

_KEPT: Final = 64
"""Contents of one segment that a process keeps compiled: more than a service has templates. One
that renders by itself has as many as messages, in each of the thousand segments of its cache."""


class _Compiled(NamedTuple):
    """What the messages of one content share."""

    mailing: Mailing | RawMailing | None
    names: tuple[str, ...] = ()
    fault: str = ""
    """Why no mail can be made by it."""


_NOTHING: Final = _Compiled(None)


@dataclass(frozen=True, slots=True)
class Addressee(Recipient):
    """The recipient of one message."""

    compiled: _Compiled = _NOTHING
    late_at: float = math.inf
    """By the clock of the segment."""


def _of(recipient: Recipient) -> Addressee:
    assert isinstance(recipient, Addressee)
    return recipient


class Mixed:
    """Messages of several contents that go in one call: all rendered here, and carried."""

    def __init__(self, segment: "Segment", parts: Sequence[str]) -> None:
        self.campaign_id: Final = segment.id
        self.sender: Final = segment.sender
        self.from_: Final = segment.from_
        self.reply_to: Final = segment.reply_to
        self.tags: Final[Mapping[str, str]] = {}
        self.template: Final = carrying(parts)
        self.template_size: Final = self.template.size
        self._of: Final = segment.of

    def bulk_entry(self, index: int, recipient: Recipient) -> BulkEntry:
        """Raises as `Mailing.carried_entry` does."""
        mailing = self._of(recipient)
        assert isinstance(mailing, Mailing)
        return mailing.carried_entry(index, recipient)


class Segment:
    """The messages of one segment; safe to share between threads."""

    def __init__(
        self,
        segment: CampaignId,
        sender_name: str,
        sender: Sender,
        contents: Callable[[CampaignId, Sequence[str]], Sequence[bytes | None]],
        clock: Clock,
    ) -> None:
        where = f"settings: senders.{sender_name}"
        self.id: Final = segment
        self.sender: Final = sender
        self.from_: Final = mailbox(sender.from_, where=f"{where}.from")
        self.reply_to: Final = tuple(
            mailbox(one, where=f"{where}.reply_to") for one in sender.reply_to
        )
        self._contents: Final = contents
        self._clock: Final = clock
        self._known: dict[str, _Compiled] = {}
        self._mixed: Final = cache(partial(Mixed, self))

    def recipients(self, claim: Claim) -> tuple[Recipient, ...]:
        """Decode a batch, and read the contents that it is the first to need.

        Raises `StoreUnavailableError`.
        """
        entries = decode_entries(claim.recipients)
        known = self._learn({one.content for one in entries})
        ahead = self._clock() - claim.now
        return tuple(_addressee(one, known[one.content], ahead) for one in entries)

    def of(self, recipient: Recipient) -> Mailing | RawMailing:
        """Return what makes the mail of one message. Raises `UnrenderableError`."""
        compiled = _of(recipient).compiled
        if compiled.mailing is None:
            raise UnrenderableError(compiled.fault)
        return compiled.mailing

    def kind(self, recipient: Recipient) -> Hashable:
        """Return the parts that a message has: a carrying template has the same for all."""
        mailing = _of(recipient).compiled.mailing
        return ALONE if isinstance(mailing, RawMailing) else _parts(mailing)

    def is_late(self, recipient: Recipient) -> bool:
        """Whether `not_after` of a message has passed, by Redis' clock."""
        return _of(recipient).late_at <= self._clock()

    def is_at_fault(self, recipient: Recipient, fault: Fault) -> bool:
        """Whether SES refuses one message for what is its own, and so would take the others."""
        mailing = _of(recipient).compiled.mailing
        if isinstance(mailing, RawMailing):
            return mailing.is_foreign or fault is not Fault.UNKNOWN
        return fault is Fault.CONTENT

    def frame(self, recipients: Sequence[Recipient]) -> Frame:
        """Return what a SendBulkEmail to these, all of one kind, shares."""
        mailings = {_of(one).compiled.mailing for one in recipients}
        one = next(iter(mailings))
        if isinstance(one, Mailing) and len(mailings) == 1:
            return one
        return self._mixed(_parts(one))

    def _learn(self, ids: set[str]) -> dict[str, _Compiled]:
        """Return what is compiled of these contents. n is the contents of one batch.

        Kept is what many messages share: no whole mail, of megabytes, and no text that is gone,
        for the next message with it brings it back.
        """
        known = self._known
        new = sorted(ids - known.keys())
        if not new:
            return known
        read = zip(new, self._contents(self.id, new), strict=True)
        made = {one: self._compiled(record) for one, record in read}
        lasting = {one: new for one, new in made.items() if isinstance(new.mailing, Mailing)}
        # A new dictionary: other threads go on with the old one.
        self._known = lasting | (known if len(known) < _KEPT else {})
        return known | made

    def _compiled(self, record: bytes | None) -> _Compiled:
        if record is None:
            return _Compiled(None, fault="its text is gone")
        try:
            made = content(record)
        except (msgspec.DecodeError, zlib.error):
            return _Compiled(None, fault="its text cannot be read")
        if made.raw is not None:
            return _Compiled(RawMailing(self.id, made.raw, self.sender, self.from_))
        assert made.campaign is not None
        try:
            return _Compiled(Mailing(self.id, made.campaign, self.sender), made.names)
        except BadInputError as fault:
            return _Compiled(None, made.names, str(fault))


def _parts(mailing: Mailing | RawMailing | None) -> tuple[str, ...]:
    return mailing.parts if isinstance(mailing, Mailing) else ()


def _addressee(entry: Entry, compiled: _Compiled, ahead: float) -> Addressee:
    names = compiled.names
    fields = {names[int(at)]: value for at, value in entry.values.items()} if names else {}
    late_at = entry.not_after + ahead if entry.not_after else math.inf
    return Addressee(entry.email, fields, compiled, late_at)
