"""The sender's own addresses, in the form that mail headers take."""

from email.utils import formataddr, parseaddr
from typing import NamedTuple

from postroom.content import address
from postroom.errors import BadInputError


class Mailbox(NamedTuple):
    """An address with or without a display name."""

    header: str
    """ASCII: the name MIME encoded and the domain in Punycode where needed."""
    address: str


def mailbox(written: str, *, where: str) -> Mailbox:
    """Read `Shop News <news@shop.example.com>` or a bare address.

    Raises `BadInputError` naming `where` it is written: SES's own refusal would look as if each
    recipient were at fault.
    """
    name, bare = parseaddr(written)
    try:
        sendable = address.sendable(bare)
    except BadInputError as error:
        raise BadInputError(f"{where}: {written!r}: {error}") from None
    return Mailbox(formataddr((name, sendable)), sendable)
