"""Raw MIME content: what SES reads from its headers, and what a reader sees of it."""

import base64
import binascii
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses
from typing import Final

from simulator.errors import bad_request
from simulator.message import Call, Entry, Pair, Raw

_OWN_HEADERS: Final = frozenset({"x-ses-configuration-set", "x-ses-message-tags"})


def parsed(raw: Raw) -> EmailMessage:
    try:
        octets = base64.b64decode(raw.base64, validate=True)
    except binascii.Error:
        raise bad_request("Raw message data is not base64.") from None
    return message_from_bytes(octets, policy=default)


def completed(call: Call, raw: Raw) -> Call:
    """`call` with what it leaves open taken from the headers: sender, receivers, set, tags.

    Tags of the call replace those of the header; they do not add up.
    """
    mime = parsed(raw)
    (entry,) = call.entries
    if not entry.recipients:
        entry = Entry(_addresses(mime, "To"), _addresses(mime, "Cc"), _addresses(mime, "Bcc"))
    return call._replace(
        sender=call.sender or str(mime.get("From", "")),
        configuration_set=call.configuration_set or mime.get("X-SES-CONFIGURATION-SET"),
        tags=call.tags or _tags(str(mime.get("X-SES-MESSAGE-TAGS", ""))),
        entries=(entry,),
    )


def visible_headers(mime: EmailMessage) -> list[Pair]:
    """The headers that reach the reader: those meant for SES and Bcc are taken out."""
    return [
        Pair(name, str(value))
        for name, value in mime.items()
        if name.lower() not in _OWN_HEADERS and name.lower() != "bcc"
    ]


def body(mime: EmailMessage, kind: str) -> str | None:
    part = mime.get_body((kind,))
    return None if part is None else str(part.get_content())


def _addresses(mime: EmailMessage, name: str) -> tuple[str, ...]:
    values = [str(value) for value in mime.get_all(name, [])]
    return tuple(address for _, address in getaddresses(values))


def _tags(header: str) -> tuple[Pair, ...]:
    halves = (one.partition("=") for one in header.split(",") if one.strip())
    return tuple(Pair(name.strip(), value.strip()) for name, _, value in halves)
