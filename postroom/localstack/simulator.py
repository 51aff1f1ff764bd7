"""What the local stack asks the simulator, over the simulator's own inspection API."""

import json
from typing import Any, Final
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

# Not through a proxy of the environment: it stands on the loopback.
_OPENER: Final = build_opener(ProxyHandler({}))
_TIMEOUT_SECONDS: Final = 5.0


def healthy(url: str) -> bool:
    try:
        return asked(url, "health").get("status") == "ok"
    except (URLError, OSError, ValueError):
        return False


def stats(url: str) -> dict[str, Any]:
    """Return the simulator's own count of what it accepted."""
    return asked(url, "stats")


def last_mail(url: str) -> dict[str, Any]:
    """Return the mail that was sent last, as its reader sees it."""
    mails: list[dict[str, Any]] = asked(url, "mails?limit=1")["mails"]
    return mails[0]


def asked(url: str, what: str) -> dict[str, Any]:
    with _OPENER.open(f"{url}/_simulator/{what}", timeout=_TIMEOUT_SECONDS) as answer:
        given: dict[str, Any] = json.load(answer)
        return given
