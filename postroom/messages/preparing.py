"""What a message needs before it can be appended: checked, and with what many share taken apart."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from postroom.content.address import normal, sendable
from postroom.content.checks import check, check_sender
from postroom.content.entries import Entry, Stored, encode_entry, stored
from postroom.content.fields import Fields, fields_of, filled
from postroom.errors import BadInputError
from postroom.model import Campaign, Lane, Message, Recipient, SenderName
from postroom.store.streams import Waiting

_KEPT: Final = 256
MARK_BYTES: Final = 6
_ADDRESS_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the messages of one content have in common."""

    content: Stored
    fields: Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One message, ready to be appended."""

    waiting: Waiting
    content: Stored
    address: str
    """In its normal form."""


class Contents:
    """The contents that this process has met lately, checked once each."""

    def __init__(self, senders: Callable[[], Mapping[SenderName, Any]]) -> None:
        self._senders: Final = senders
        self._kept: Final = lru_cache(maxsize=_KEPT)(self._shared)

    def prepare(
        self, sender: str, message: Message, recipient: Recipient, token: bytes
    ) -> Prepared:
        """Raises `BadInputError` for the first thing that is wrong with it."""
        check_sender(sender, self._senders())
        with readable(Message):
            shared = self._kept(_key(sender, message))
        with readable(Recipient):
            one = whole(shared.fields, recipient)
        address = normal(one.email)
        numbers = shared.content.numbers
        entry = encode_entry(
            Entry(
                one.email,
                shared.content.id,
                {numbers[name]: value for name, value in one.fields.items() if name in numbers},
                moment_of(message.not_after),
            )
        )
        return Prepared(
            waiting=Waiting(
                token=token,
                mark=blake2b(entry, digest_size=MARK_BYTES).digest(),
                content=shared.content.id,
                address=address_mark(address),
                entry=entry,
            ),
            content=shared.content,
            address=address,
        )

    def _shared(self, key: "_Key") -> Shared:
        campaign = campaign_of(*key.parts())
        check(campaign, senders={campaign.sender})
        return Shared(content=stored(campaign), fields=fields_of(campaign))


@dataclass(frozen=True, slots=True)
class _Key:
    """A message without what is its own: hashable, to look a content up by."""

    sender: str
    subject: str
    html: str | None
    text: str | None
    headers: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...]
    keep_blank: tuple[str, ...]

    def parts(self) -> tuple[str, Message]:
        message = Message(
            subject=self.subject,
            html=self.html,
            text=self.text,
            headers=dict(self.headers),
            tags=dict(self.tags),
            keep_blank=self.keep_blank,
        )
        return self.sender, message


def _key(sender: str, message: Message) -> _Key:
    if isinstance(message.keep_blank, str):
        raise BadInputError("keep_blank: it is a list of fields")
    return _Key(
        sender,
        message.subject,
        message.html,
        message.text,
        tuple(message.headers.items()),
        tuple(message.tags.items()),
        tuple(message.keep_blank),
    )


def campaign_of(sender: str, message: Message) -> Campaign:
    """Return the campaign whose checks and templates a message shares."""
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


def address_mark(address: str) -> bytes:
    """Return what is kept of an address, in its normal form, after its mail has gone."""
    return blake2b(address.encode(), digest_size=_ADDRESS_BYTES).digest()


@contextmanager
def readable(kind: type) -> Iterator[None]:
    """Raise `BadInputError` where what was handed in is of other types than it should be."""
    try:
        yield
    except (AttributeError, TypeError, UnicodeEncodeError) as error:
        raise BadInputError(f"{kind.__name__}: {error}") from None


def recipient_of(given: Recipient | Mapping[str, Any] | str) -> Recipient:
    """Return whoever was named, with the address as SES takes it. Raises `BadInputError`."""
    if isinstance(given, str):
        return Recipient(sendable(given))
    if isinstance(given, Recipient) and isinstance(given.email, str):
        return Recipient(sendable(given.email), given.fields)
    if not isinstance(given, Mapping) or not isinstance(given.get("email"), str):
        raise BadInputError("recipient: it is neither an address nor a mapping with `email`")
    fields = {name: value for name, value in given.items() if name != "email"}
    return Recipient(sendable(given["email"]), fields)


def whole(fields: Fields, recipient: Recipient) -> Recipient:
    """Return the recipient without what is blank. Raises `BadInputError` for what it then lacks."""
    kept = filled(Recipient(recipient.email, _numbers_only(recipient.fields)), fields)
    if lacking := sorted(fields.required - kept.fields.keys()):
        blank = f" ({lacking[0]} is blank)" if lacking[0] in recipient.fields else ""
        raise BadInputError(
            f"recipient: the templates name what it lacks: {', '.join(lacking)}{blank}"
        )
    return kept


def _numbers_only(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields without NaN and its like, which stand for what is not known."""
    odd = [
        name
        for name, value in fields.items()
        if isinstance(value, float) and not math.isfinite(value)
    ]
    return {name: value for name, value in fields.items() if name not in odd} if odd else fields


def moment_of(not_after: datetime | None) -> float:
    """Return Unix seconds; 0.0 for no end. Raises `BadInputError`."""
    if not_after is None:
        return 0.0
    if not isinstance(not_after, datetime):
        raise BadInputError(f"not_after: {type(not_after).__name__} is no datetime")
    if not_after.utcoffset() is None:
        raise BadInputError(f"not_after: {not_after.isoformat()} has no time zone")
    return not_after.timestamp()
