"""What SES writes, made fit to be shown: without recipients, and the same for the same cause."""

import re
from collections.abc import Sequence
from typing import Final

MAX_CHARACTERS: Final = 160

_ARN: Final = re.compile(r"arn:[^\s'\"`,]+")
_ADDRESS: Final = re.compile(r"[^\s<>,;:'\"`()\[\]]+(?:@|%40)[^\s<>,;:'\"`()\[\]]+", re.IGNORECASE)
_DOMAIN: Final = re.compile(r"(?<![\w.-])(?:[\w-]+\.)+[a-z]{2,}(?![\w-])", re.IGNORECASE)
_QUOTED: Final = re.compile(r"(['\"`])([^'\"`]*)['\"`]")
_IDS: Final = re.compile(r"\b(?=[0-9a-f-]*\d)[0-9a-f]{6,}(?:-[0-9a-f]+)*\b|\d+", re.IGNORECASE)
_OURS: Final = "\x01"


def without_recipients(text: str, sender: str, recipients: Sequence[str]) -> str:
    """Return a text of SES without addresses but our own, without ids and numbers.

    It comes out the same for all recipients who fail for the same cause.
    """
    if text.lstrip().startswith("<"):
        return "a web page, not an answer of SES"
    bare = _replaced(text, sender, _OURS) if sender else text
    for address in recipients:
        bare = _replaced(bare, address, "an address")
    locals_ = {one.rpartition("@")[0].lower() for one in recipients}
    bare = _QUOTED.sub(lambda found: _unquoted(found, locals_), bare)
    for pattern, stand_in in (
        (_ADDRESS, "an address"),
        (_ARN, "an ARN"),
        (_DOMAIN, "a domain"),
        (_IDS, "N"),
    ):
        bare = pattern.sub(stand_in, bare)
    shown = " ".join(bare.replace(_OURS, sender).split()).rstrip(". ")
    return shown if len(shown) <= MAX_CHARACTERS else shown[: MAX_CHARACTERS - 1] + "…"


def _replaced(text: str, known: str, stand_in: str) -> str:
    return re.sub(re.escape(known), stand_in, text, flags=re.IGNORECASE)


def _unquoted(found: re.Match[str], locals_: set[str]) -> str:
    inside = found[2].lower()
    return "…" if any(local and local in inside for local in locals_) else found[0]
