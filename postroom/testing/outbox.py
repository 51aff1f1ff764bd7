"""What the local SES accepted, as the readers of the mails would see it."""

from collections.abc import Iterable, Mapping
from email.header import decode_header, make_header
from email.utils import parseaddr
from typing import Any

from postroom.model import Mail


def outbox_of(described: Iterable[Mapping[str, Any]]) -> list[Mail]:
    """Turn what the simulator tells, newest first, into mails in the order of their sending."""
    return [_mail(one) for one in reversed(list(described))]


def _mail(one: Mapping[str, Any]) -> Mail:
    return Mail(
        from_=_readable(one["from"]),
        to=", ".join(one["to"]),
        reply_to=tuple(one["reply_to"]),
        subject=one["subject"],
        html=one["html"],
        text=one["text"],
        headers={header["name"]: header["value"] for header in one["headers"]},
    )


def _readable(header: str) -> str:
    """Return a From as a mail program shows it."""
    name, address = parseaddr(header)
    shown = str(make_header(decode_header(name)))
    return f"{shown} <{address}>" if shown else address
