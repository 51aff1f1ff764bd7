"""No website reads mails or resets anything through a browser of this machine."""

from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from tests.simulator.running import RunningSimulator


def asked(simulator: RunningSimulator, path: str, *, method: str = "GET", **headers: str) -> int:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    body = b"{}" if method == "POST" else None
    request = Request(simulator.url + path, data=body, method=method, headers=given)
    try:
        with urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as refused:
        refused.close()
        return refused.code


@pytest.mark.parametrize("path", ["/", "/_simulator/mails", "/_simulator/stats"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "a.localhost.evil.example"])
def test_under_a_name_that_somebody_owns_nothing_is_shown(
    simulator: RunningSimulator, path: str, host: str
) -> None:
    assert asked(simulator, path, Host=host) == 403


@pytest.mark.parametrize("path", ["reset", "settings", "faults", "identities"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_a_foreign_page_changes_nothing(
    simulator: RunningSimulator, path: str, origin: str
) -> None:
    assert asked(simulator, f"/_simulator/{path}", method="POST", Origin=origin) == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8005", "[::1]:8005", "simulator:8005"])
def test_under_its_own_names_it_is_served(simulator: RunningSimulator, host: str) -> None:
    assert asked(simulator, "/_simulator/health", Host=host) == 200


def test_its_own_page_may_ask(simulator: RunningSimulator) -> None:
    own = f"http://{urlsplit(simulator.url).netloc}"
    assert asked(simulator, "/_simulator/reset", method="POST", Origin=own) == 200


def test_a_sender_may_call_it_what_he_likes(simulator: RunningSimulator) -> None:
    """SES's own operations want a signature, which no page of a website has."""
    assert asked(simulator, "/v2/email/nothing", Host="ses.example.com") == 404
