"""Raw messages: whole mails as MIME, checked as far as SES would refuse them anyway."""

import re
from hashlib import blake2b
from typing import Final

from postroom.content.address import normal, sendable
from postroom.content.checks import check_tags
from postroom.content.entries import Entry, Raw, Stored, encode_entry, stored_raw
from postroom.errors import BadInputError
from postroom.ids import TOKEN_BYTES
from postroom.messages.preparing import MARK_BYTES, Prepared, address_mark, moment_of, readable
from postroom.outgoing import RawMessage
from postroom.store.streams import Waiting

MOST_RECIPIENTS: Final = 50
_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")
# Blanks before the colon were allowed once: https://datatracker.ietf.org/doc/html/rfc5322#section-4.5
_BCC: Final = re.compile(rb"^(?:resent-)?bcc[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.I | re.M)
_FROM: Final = re.compile(rb"^from[ \t]*:", re.I | re.M)
_BARE_CR: Final = re.compile(rb"\r(?!\n)")
"""Some read it as the end of a line, and a header hidden behind it as one."""
_SET: Final = re.compile(r"[A-Za-z0-9_-]{0,64}")


def prepare(message: RawMessage, *, most_bytes: int, token: bytes) -> list[Prepared]:
    """Return one message for each recipient. Raises `BadInputError`.

    `token` is of the whole: each recipient's is made of it, so a repeat mails nobody twice.
    """
    with readable(RawMessage):
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
    given = list(message.recipients)
    if not 1 <= len(given) <= MOST_RECIPIENTS:
        raise BadInputError(f"recipients: {len(given)}; a message has 1 to {MOST_RECIPIENTS}")
    return list({normal(one): one for one in map(sendable, given)}.values())


def _raw(message: RawMessage, most_bytes: int) -> Raw:
    if not isinstance(message.mime, bytes | bytearray):
        raise BadInputError(f"mime: {type(message.mime).__name__} is no bytes")
    if len(message.mime) > most_bytes:
        raise BadInputError(
            f"mime: {len(message.mime)} bytes; store.raw_message_bytes allows {most_bytes}"
        )
    check_tags(message.tags)
    if not _SET.fullmatch(message.configuration_set):
        raise BadInputError("configuration_set: it has up to 64 ASCII letters, digits, _ and -")
    return Raw(
        mime=_without_bcc(bytes(message.mime)),
        tags=dict(message.tags),
        configuration_set=message.configuration_set,
    )


def _without_bcc(mime: bytes) -> bytes:
    """Return it as it is, but for its Bcc. Raises `BadInputError` for what has no headers."""
    end = _HEADER_END.search(mime)
    if end is None:
        raise BadInputError("mime: no empty line ends its headers")
    ends_line = end.start() + mime[end.start() :].index(b"\n") + 1
    head, rest = mime[:ends_line], mime[ends_line:]
    if _BARE_CR.search(head):
        raise BadInputError("mime: its headers have a CR without LF")
    if not _FROM.search(head):
        raise BadInputError("mime: it has no From header")
    return _BCC.sub(b"", head) + rest
