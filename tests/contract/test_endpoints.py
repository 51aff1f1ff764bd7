"""What a broken call may have done, in every shape of way to SES: it is never sent again."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from socket import create_server, socket

import pytest

from postroom.settings import Settings
from postroom.store.connection import Store
from tests.contract.test_ses import RAW
from tests.support.mail import PEOPLE, carrier_to, kinds, mailing, send_bulk
from tests.support.raw_server import Answer, RawServer, answering
from tests.support.tls_server import TlsServer
from tests.support.waiting import wait_until
from tests.support.worker_harness import WorkerHarness, quick
from worker.ses.request import SesCarrier
from worker.ses.verdict import Kind

SHAPES = {
    # What follows the server's address; or, through it as a proxy, where SES is.
    "plain": "",
    "a path": "/ses",
    "a path and a slash": "/a/b/",
    "a path that looks like SES's own": "/v2/email/outbound-emails",
    "AWS_ENDPOINT_URL_SESV2 with a path": "env:/ses",
    "a proxy": "http://email.eu-west-1.amazonaws.com",
    "a proxy, FIPS": "http://email-fips.us-east-1.amazonaws.com",
    "a proxy, dual stack": "http://email.eu-west-1.api.aws",
    "a proxy, a global endpoint": "http://ab1cd2.xyz.endpoints.email.global.amazonaws.com",
    "a proxy, a port and a path": "http://gateway.example.com:8080/ses",
}
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


PATIENCE_SECONDS = 0.4


class Way:
    """A carrier, and the server at the end of its way, which answers as each case wants it to."""

    def __init__(self) -> None:
        self.answer: Answer = answering("200 OK", b"{}")
        self.server = RawServer(self._talk)
        self.carrier: SesCarrier
        self.environ: dict[str, str] = {}

    def _talk(self, connection: socket, request: bytes) -> None:
        self.answer(connection, request)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.fixture(scope="module", params=SHAPES.values(), ids=SHAPES)
def ways(request: pytest.FixtureRequest) -> Iterator[Way]:
    """One client a shape: to make one takes botocore a while."""
    way, shape = Way(), str(request.param)
    with way.server as server:
        endpoint = server.url + shape
        if shape.startswith("http"):
            way.environ["http_proxy"], endpoint = server.url, shape
        elif shape.startswith("env:"):
            endpoint = server.url + shape.removeprefix("env:")
            way.environ["AWS_ENDPOINT_URL_SESV2"], endpoint = endpoint, ""
        way.carrier = carrier_to(endpoint, patience=PATIENCE_SECONDS)
        yield way


@pytest.fixture
def way(ways: Way, monkeypatch: pytest.MonkeyPatch) -> Way:
    for name, value in ways.environ.items():
        monkeypatch.setenv(name, value)
    return ways


@pytest.mark.parametrize(("answer", "kind"), [one[1:] for one in RAW], ids=[one[0] for one in RAW])
def test_what_the_server_does_is_judged_alike_on_every_way(
    way: Way, answer: Answer, kind: Kind
) -> None:
    way.answer = answer
    before = len(way.server.requests)
    assert kinds(send_bulk(way.carrier, count=2)) == [kind] * 2
    assert way.carrier.send_one(mailing(), 7, 0, PEOPLE[0]).kind is kind
    # Where the client gives up first, the server may read what was sent a moment later.
    wait_until(lambda: len(way.server.requests) == before + 2, "each call was sent once")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("endpoint", ["", "/ses", "proxy"])
def test_where_nobody_listens_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch, scheme: str, endpoint: str
) -> None:
    with create_server(("127.0.0.1", 0)) as gone:
        nobody = f"127.0.0.1:{gone.getsockname()[1]}"
    url = f"{scheme}://{nobody}{endpoint}"
    if endpoint == "proxy":
        monkeypatch.setenv(f"{scheme}_proxy", f"http://{nobody}")
        url = f"{scheme}://email.eu-west-1.amazonaws.com"
    assert kinds(send_bulk(carrier_to(url), count=2)) == [Kind.UNREACHABLE] * 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (answering("403 Forbidden", b""), Kind.UNREACHABLE),
        (answering("407 Proxy Authentication Required", b""), Kind.UNREACHABLE),
        (lambda *_: None, Kind.UNREACHABLE),
        (lambda one, _: one.sendall(b"HTTP/1.1 200 OK\r\n\r\n"), Kind.UNREACHABLE),
    ],
    ids=["refuses", "wants a password", "hangs up", "hangs up in the handshake"],
)
def test_a_tunnel_that_does_not_come_about_carried_nothing(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, kind: Kind
) -> None:
    with RawServer(answer) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        carrier = carrier_to("https://email.eu-west-1.amazonaws.com", patience=PATIENCE_SECONDS)
        assert kinds(send_bulk(carrier, count=2)) == [kind] * 2
        assert all(request.startswith(b"CONNECT ") for request in proxy.requests)


class TestTls:
    def test_a_server_that_speaks_none_was_sent_nothing(self) -> None:
        def plain_text(listener: socket) -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        with create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=plain_text, args=[listener], daemon=True).start()
            url = f"https://127.0.0.1:{listener.getsockname()[1]}/ses"
            assert kinds(send_bulk(carrier_to(url), count=2)) == [Kind.UNREACHABLE] * 2

    def test_a_handshake_that_is_not_answered_in_time_sent_nothing(self) -> None:
        with create_server(("127.0.0.1", 0)) as silent:
            url = f"https://127.0.0.1:{silent.getsockname()[1]}"
            verdicts = send_bulk(carrier_to(url, patience=PATIENCE_SECONDS), count=2)
            assert kinds(verdicts) == [Kind.UNREACHABLE] * 2

    def test_a_certificate_that_is_not_trusted_was_sent_nothing(self, tmp_path: Path) -> None:
        with TlsServer(answering("200 OK", b"{}"), tmp_path) as server:
            assert kinds(send_bulk(carrier_to(server.url), count=2)) == [Kind.UNREACHABLE] * 2
            assert server.requests == []

    def test_a_connection_cut_after_the_request_is_in_doubt(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with TlsServer(lambda *_: None, tmp_path) as server:
            monkeypatch.setenv("AWS_CA_BUNDLE", str(server.ca))
            assert kinds(send_bulk(carrier_to(server.url), count=2)) == [Kind.AMBIGUOUS] * 2
            assert len(server.requests) == 1

    def test_a_refusal_that_comes_after_our_half_of_the_handshake_is_in_doubt(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With TLS 1.3 the request has left by the time the server says what it lacks."""
        with TlsServer(answering("200 OK", b"{}"), tmp_path, wants_certificate=True) as server:
            monkeypatch.setenv("AWS_CA_BUNDLE", str(server.ca))
            assert kinds(send_bulk(carrier_to(server.url), count=2)) == [Kind.AMBIGUOUS] * 2


class Cutting:
    """An SES that takes every mail, and hangs up on some calls instead of saying so."""

    def __init__(self, *cut: int) -> None:
        self._cut = cut
        self._calls = 0
        self.mailed: Counter[str] = Counter()

    def __call__(self, connection: socket, request: bytes) -> None:
        entries = json.loads(request.partition(b"\r\n\r\n")[2])["BulkEmailEntries"]
        self.mailed.update(one["Destination"]["ToAddresses"][0] for one in entries)
        self._calls += 1
        if self._calls not in self._cut:
            results = [{"Status": "SUCCESS", "MessageId": "1"}] * len(entries)
            body = json.dumps({"BulkEmailEntryResults": results}).encode()
            answering("200 OK", body)(connection, request)


@pytest.mark.parametrize("path", ["", "/ses", "/a/b/"])
def test_nobody_is_mailed_twice_when_connections_are_cut_after_the_mail_was_taken(
    store: Store, settings: Settings, path: str
) -> None:
    ses = Cutting(1, 3, 5)
    with RawServer(ses) as server:
        post = WorkerHarness(store, quick(settings), carrier_to(server.url + path))
        post.allow()
        made = post.make(400)
        for attempt in range(5):
            post.work_off(made, owner=f"run {attempt}")
        post.close()
    totals = made.check_books()
    assert (totals.ambiguous, totals.accepted) == (150, 250)
    assert ses.mailed == Counter(made.addresses)
