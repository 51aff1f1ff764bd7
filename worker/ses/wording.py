"""What SES writes, made fit to be shown: without recipients, and the same for the same cause."""

import re
from collections.abc import Sequence
from typing import Final

MAX_CHARACTERS: Final = 160

# Foreign text: no pattern may take more than linear time, as `re` holds the GIL and with it all
# leases of the process. So each is read in whole words, and what the word is, is asked after.
_ARN: Final = re.compile(r"arn:[^\s'\"`,]+")
_WORD: Final = re.compile(r"[^\s<>,;:'\"`()\[\]]+")
_AT: Final = re.compile(r"(?<!^)(?:@|%40)(?!$)", re.IGNORECASE)
_DOMAIN: Final = re.compile(r"(?<![\w.-])(?:[\w-]+\.)+[a-z]{2,}(?![\w-])", re.IGNORECASE)
_QUOTED: Final = re.compile(r"(['\"`])([^'\"`]*)['\"`]")
_HEX: Final = re.compile(r"\b[0-9a-f]{6,}(?:-[0-9a-f]+)*\b|\d+", re.IGNORECASE)
_DIGIT: Final = re.compile(r"\d")
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
    bare = _WORD.sub(lambda found: "an address" if _AT.search(found[0]) else found[0], bare)
    bare = _DOMAIN.sub("a domain", _ARN.sub("an ARN", bare))
    bare = _HEX.sub(lambda found: "N" if _DIGIT.search(found[0]) else found[0], bare)
    shown = " ".join(bare.replace(_OURS, sender).split()).rstrip(". ")
    return shown if len(shown) <= MAX_CHARACTERS else shown[: MAX_CHARACTERS - 1] + "…"


def _replaced(text: str, known: str, stand_in: str) -> str:
    return re.sub(re.escape(known), stand_in, text, flags=re.IGNORECASE)


def _unquoted(found: re.Match[str], locals_: set[str]) -> str:
    inside = found[2].lower()
    return "…" if any(local and local in inside for local in locals_) else found[0]
