"""A source in S3, read by real boto3 from moto's server, or from one that breaks the line."""

import gzip
import http.server
import re
import threading
from collections.abc import Iterator
from typing import ClassVar

import boto3
import pytest
from moto.server import ThreadedMotoServer

from postroom.errors import UnreadableSourceError
from postroom.model import State
from postroom.settings import Settings
from producers.sources import read_url
from tests.support.client_harness import ClientHarness, campaign

SPRING = "s3://lists/spring.csv"
ROWS = b"email\n" + b"".join(b"person%d@x.example\n" % n for n in range(100_000))


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(port=0)
    server.start()
    _host, port = server.get_host_and_port()
    url = f"http://127.0.0.1:{port}"
    point_at(url, monkeypatch)
    boto3.client("s3").create_bucket(Bucket="lists")
    yield url
    server.stop()


def point_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.mark.parametrize("key", ["spring.csv", "spring 2027/50%+?.csv.gz"])
def test_a_campaign_from_an_object(harness: ClientHarness, s3: str, key: str) -> None:
    body = gzip.compress(ROWS) if key.endswith("gz") else ROWS
    boto3.client("s3").put_object(Bucket="lists", Key=key, Body=body)
    submission = harness.post.submit(campaign(), source=f"s3://lists/{key}")
    assert harness.split(submission.id).totals.total == 100_000


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("s3://lists/none.csv", "s3://lists/none.csv: there is no such object"),
        ("s3://others/none.csv", "s3://others/none.csv: there is no such bucket"),
    ],
)
def test_an_object_that_is_not_there_halts_the_campaign(
    harness: ClientHarness, s3: str, source: str, reason: str
) -> None:
    submission = harness.post.submit(campaign(), source=source)
    status = harness.split(submission.id)
    assert (status.state, status.reason) == (State.HALTED, reason)


class Flaky(http.server.BaseHTTPRequestHandler):
    """Serves one object and cuts the line after each megabyte or so."""

    body = ROWS * 3
    etag = '"one"'
    breaks = 4
    sent_before_break = 1_200_000
    change_after: int | None = None
    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        Flaky.asked.append(wanted)
        if Flaky.change_after is not None and len(Flaky.asked) > Flaky.change_after:
            Flaky.etag = '"two"'
        if self.headers.get("If-Match") not in (None, Flaky.etag):
            self.send_response(412)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(re.findall(r"\d+", wanted)[0]) if wanted else 0
        rest = Flaky.body[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", Flaky.etag)
        self.end_headers()
        broken = len(Flaky.asked) <= Flaky.breaks
        self.wfile.write(rest[: Flaky.sent_before_break] if broken else rest)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Flaky]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Flaky.asked, Flaky.etag, Flaky.breaks, Flaky.change_after = [], '"one"', 4, None
    Flaky.sent_before_break = 1_200_000
    point_at(f"http://127.0.0.1:{server.server_port}", monkeypatch)
    yield Flaky
    server.shutdown()
    server.server_close()


def test_a_broken_connection_is_resumed_where_it_broke(
    flaky: type[Flaky], settings: Settings
) -> None:
    pauses: list[float] = []
    assert b"".join(read_url(SPRING, pauses.append, settings.producer)) == Flaky.body
    assert len(flaky.asked) == 5
    assert flaky.asked[0] is None
    assert flaky.asked[1] is not None
    assert len(pauses) == 4


def test_an_object_that_is_replaced_meanwhile_is_not_glued_together(
    flaky: type[Flaky], settings: Settings
) -> None:
    flaky.change_after = 1
    with pytest.raises(UnreadableSourceError, match="replaced while it was read"):
        list(read_url(SPRING, lambda _: None, settings.producer))


def test_a_connection_that_only_breaks_is_given_up(flaky: type[Flaky], settings: Settings) -> None:
    flaky.sent_before_break = 0
    flaky.breaks = 1_000
    with pytest.raises(UnreadableSourceError, match=r"s3://lists/spring\.csv: "):
        list(read_url(SPRING, lambda _: None, settings.producer))
    assert len(flaky.asked) < 50
