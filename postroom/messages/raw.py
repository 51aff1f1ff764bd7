"""Raw messages: whole mails as MIME, checked as far as SES would refuse them anyway."""

import re
from hashlib import blake2b
from typing import Final

from postroom.content.address import normal, sendable
from postroom.content.checks import check_tags
from postroom.content.entries import Entry, Raw, Stored, encode_entry, stored_raw
from postroom.errors import BadInputError
from postroom.ids import TOKEN_BYTES
from postroom.messages.preparing import MARK_BYTES, Prepared, address_mark, moment_of
from postroom.outgoing import RawMessage
from postroom.store.streams import Waiting

MOST_RECIPIENTS: Final = 50
_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")
_BCC: Final = re.compile(rb"^(?:resent-)?bcc:[^\n]*\n(?:[ \t][^\n]*\n)*", re.I | re.M)
_FROM: Final = re.compile(rb"^from:", re.I | re.M)


def prepare(message: RawMessage, *, most_bytes: int, token: bytes) -> list[Prepared]:
    """Return one message for each recipient. Raises `BadInputError`.

    `token` is of the whole: each recipient's is made of it, so a repeat mails nobody twice.
    """
    recipients = _recipients(message)
    content = stored_raw(_raw(message, most_bytes))
    return [_prepared(one, content, moment_of(message.not_after), token) for one in recipients]


def _prepared(address: str, content: Stored, not_after: float, token: bytes) -> Prepared:
    entry = encode_entry(Entry(address, content.id, {}, not_after))
    name = normal(address)
    own = blake2b(name.encode(), digest_size=TOKEN_BYTES, key=token).digest()
    mark = blake2b(entry, digest_size=MARK_BYTES).digest()
    waiting = Waiting(
        token=own, mark=mark, content=content.id, address=address_mark(name), entry=entry
    )
    return Prepared(waiting=waiting, content=content, address=name)


def _recipients(message: RawMessage) -> list[str]:
    if isinstance(message.recipients, str):
        raise BadInputError("recipients: it is a list of addresses")
    if not 1 <= len(message.recipients) <= MOST_RECIPIENTS:
        count = len(message.recipients)
        raise BadInputError(f"recipients: {count}; a message has 1 to {MOST_RECIPIENTS}")
    return list({normal(one): one for one in map(sendable, message.recipients)}.values())


def _raw(message: RawMessage, most_bytes: int) -> Raw:
    if len(message.mime) > most_bytes:
        raise BadInputError(
            f"mime: {len(message.mime)} bytes; store.raw_message_bytes allows {most_bytes}"
        )
    end = _HEADER_END.search(message.mime)
    if end is None:
        raise BadInputError("mime: no empty line ends its headers")
    head, body = message.mime[: end.start()] + b"\n", message.mime[end.start() :]
    if not _FROM.search(head):
        raise BadInputError("mime: it has no From header")
    check_tags(message.tags)
    bare = _BCC.sub(b"", head)
    mime = message.mime if bare == head else bare.removesuffix(b"\n") + body
    return Raw(mime=mime, tags=dict(message.tags), configuration_set=message.configuration_set)
