"""Email addresses: what SES accepts, how one is sent, and what makes two the same."""

import re
from typing import Final

import idna

from postroom.errors import BadInputError

MAX_LENGTH: Final = 254
MAX_LOCAL: Final = 64
_BETWEEN: Final = (",", ";", " ", "\t", "\n", "|", "/")
_TOO_LONG: Final = f"the address is longer than {MAX_LENGTH} characters"

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LAST: Final = r"(?![0-9]+\Z)" + _LABEL
_DOMAIN: Final = rf"(?:{_LABEL}\.)+{_LAST}"

_LOCAL_PART: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*+")
_QUOTED: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\[ -~])*+)"')
_ESCAPED: Final = re.compile(r"\\(.)")
_DOMAIN_PART: Final = re.compile(_DOMAIN)

is_plain: Final = re.compile(
    rf"(?=.{{3,{MAX_LENGTH}}}\Z)(?=[^@]{{1,{MAX_LOCAL}}}@){_ATOM}(?:\.{_ATOM})*@{_DOMAIN}"
).fullmatch
"""Truthy for nearly every good address, in one step. What it refuses may still be good."""


class NotAnAddressError(BadInputError):
    """SES would refuse this address. Says why, never what it was."""


def sendable(written: str) -> str:
    """Return the address as SES takes it: as written, save for its domain outside ASCII and for
    quotes that it does not need.

    Raises `NotAnAddressError`, also for one that needs its quotes: SES answers such with
    technical failures (GOV.UK Notify refuses them for that).
    """
    address = written.strip()
    if is_plain(address):
        return address
    if more := _more_than_an_address(address):
        raise NotAnAddressError(more)
    local, at, domain = address.rpartition("@")
    if not at:
        raise NotAnAddressError("no @ in the address" if address else "no address")
    local = _unquoted(local)
    domain = _ascii_domain(domain)
    if len(local) + 1 + len(domain) > MAX_LENGTH:
        raise NotAnAddressError(_TOO_LONG)
    return f"{local}@{domain}"


def _more_than_an_address(text: str) -> str:
    """Say what a cell holds that is more than one address, where that can be told."""
    if text.lower().startswith("mailto:"):
        return "a link: leave out `mailto:`"
    if text.endswith(">") and "<" in text:
        return "a display name beside the address: keep only what is between < and >"
    # What stands in quotes before the @ may hold all of these.
    if text.count("@") > 1 and not text.startswith('"') and any(one in text for one in _BETWEEN):
        return "two addresses or more: one a row"
    return ""


def normal(address: str) -> str:
    """Return the form in which all spellings of one mailbox are the same: case, IDN, quotes.

    For what `sendable` returned it is no more than lower case.
    """
    try:
        return sendable(address).lower()
    except NotAnAddressError:
        return address.strip().lower()


def _unquoted(local: str) -> str:
    if not local:
        raise NotAnAddressError("nothing before the @")
    if not local.isascii():
        raise NotAnAddressError("characters outside ASCII before the @: SES cannot send to it")
    if len(local) > MAX_LOCAL:
        raise NotAnAddressError(f"more than {MAX_LOCAL} characters before the @")
    quoted = _QUOTED.fullmatch(local)
    bare = _ESCAPED.sub(r"\1", quoted[1]) if quoted else local
    if _LOCAL_PART.fullmatch(bare):
        return bare
    if quoted:
        raise NotAnAddressError("a name before the @ that needs quotes: SES cannot send to it")
    raise NotAnAddressError("characters that may not stand before the @")


def _ascii_domain(domain: str) -> str:
    if len(domain) > MAX_LENGTH:  # Before anything looks at each character of it.
        raise NotAnAddressError(_TOO_LONG)
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise NotAnAddressError("the domain has characters that no domain may have") from None
    if not _DOMAIN_PART.fullmatch(domain):
        raise NotAnAddressError("the domain is not a full domain name")
    return domain
