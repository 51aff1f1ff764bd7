"""Takes email addresses out of what is kept and read by many. Imports the standard library only."""

import re
from typing import Final

# What no address goes beyond, and so where a token that may be one begins and ends.
_EDGES: Final = r"\s<>\"'()\[\],;:="
# Each character is looked at once, save in a quoted name before an @, which SES would not take.
_TOKEN: Final = re.compile(rf'(?:"[^"\n]{{1,64}}"(?=@|%40))?[^{_EDGES}]+')
LONGEST: Final = 2_000


def without_addresses(text: str, longest: int = LONGEST) -> str:
    """Return a text that may be kept and read by many, cut to so many characters."""
    cut = len(text) > longest
    if not (cut or "@" in text or "%40" in text):
        return text

    def shown(token: re.Match[str]) -> str:
        # What the cut went through may be the beginning of an address.
        return "" if cut and token.end() == longest else _unless_address(token[0])

    return _TOKEN.sub(shown, text[:longest]) + ("…" if cut else "")


def _unless_address(token: str) -> str:
    """Celery's `celery@host` has no dot and is none."""
    _, at, domain = token.replace("%40", "@").partition("@")
    return "[address]" if at and "." in domain.strip(".") else token
