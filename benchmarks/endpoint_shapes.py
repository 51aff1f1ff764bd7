"""Calls that break in every shape of way to SES, under `skip`: nobody is mailed twice.

Where the way has a path or a proxy, a gateway on loopback stands in between, takes the path off
again and passes everything on to the local SES, which counts.
"""

import json
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from benchmarks.lab import Lab, lab, report
from postroom.localstack.stack import Shape
from postroom.model import CampaignId, Outcome
from tests.support.raw_server import RawServer

_RECIPIENTS = 8_000
"""Of each fault, in each shape."""
_BROKEN = 0.25
"""Of the calls."""
_READ_TIMEOUT_SECONDS = 1.0
_ENDPOINT = "POSTROOM_ACCOUNTS__LOCAL__ENDPOINT_URL"

_SHAPES: dict[str, tuple[str, str]] = {
    # Which variable says where SES is, and what it says; {gateway} is where the gateway listens.
    "plain": ("AWS_ENDPOINT_URL_SESV2", "{ses}"),
    "a port": (_ENDPOINT, "{gateway}"),
    "a path": (_ENDPOINT, "{gateway}/ses"),
    "a path like SES's own": (_ENDPOINT, "{gateway}/v2/email/outbound-emails"),
    "AWS_ENDPOINT_URL_SESV2 with a path": ("AWS_ENDPOINT_URL_SESV2", "{gateway}/ses"),
    "a proxy": (_ENDPOINT, "http://email.eu-west-1.amazonaws.com"),
    "a proxy, FIPS": (_ENDPOINT, "http://email-fips.us-east-1.amazonaws.com"),
    "a proxy, dual stack": (_ENDPOINT, "http://email.eu-west-1.api.aws"),
    "a proxy, a port and a path": (_ENDPOINT, "http://gateway.example.com:8080/ses"),
}
_FAULTS = ("cut_after", "hang_after", "http_500_after", "garbage_after", "cut_before")


class _Gateway:
    """Passes a request on to SES, without the path that leads to the gateway."""

    def __init__(self, ses_url: str, path: str) -> None:
        self._ses = urlsplit(ses_url)
        self._path = path.encode()

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        line, _, rest = request.partition(b"\r\n")
        method, target, version = line.split(b" ")
        parts = urlsplit(target)
        target = parts.path.removeprefix(self._path)
        line = b" ".join([method, target, version])
        with socket.create_connection((self._ses.hostname or "", self._ses.port or 80)) as ses:
            ses.sendall(b"\r\n".join([line, b"Connection: close", rest]))
            while piece := ses.recv(65_536):
                connection.sendall(piece)


def main() -> None:
    for shape, (variable, where) in _SHAPES.items():
        patience = str(_READ_TIMEOUT_SECONDS)
        environ = {"POSTROOM_SES__READ_TIMEOUT_SECONDS": patience}
        with lab(Shape(workers=0, latency_ms=20), **environ) as room:
            path = urlsplit(where.format(gateway="http://gateway", ses="http://ses")).path
            with RawServer(_Gateway(room.stack.ses_url, path)) as gateway:
                way = {variable: where.format(gateway=gateway.url, ses=room.stack.ses_url)}
                if shape.startswith("a proxy"):
                    way["HTTP_PROXY"] = gateway.url
                _measure(room, shape, way, gateway)


def _measure(room: Lab, shape: str, way: Mapping[str, str], gateway: RawServer) -> None:
    for _ in range(2):
        room.start_worker(way)
    room.stack.wait_for_workers()
    found = {fault: _send(room, fault) for fault in _FAULTS}
    report(
        "endpoint_shapes",
        shape=shape,
        recipients=_RECIPIENTS * len(_FAULTS),
        calls_broken={fault: one["broken"] for fault, one in found.items()},
        ambiguous={fault: one["ambiguous"] for fault, one in found.items()},
        twice=sum(one["twice"] for one in found.values()),
        lost=sum(one["lost"] for one in found.values()),
        calls_through_the_gateway=len(gateway.requests),
    )


def _send(room: Lab, fault: str) -> dict[str, int]:
    room.ask_ses("POST", "faults", {"kind": fault, "probability": _BROKEN, "seconds": 5.0})
    campaign_id = room.submit(_RECIPIENTS, batch_size=200)
    status = room.wait(campaign_id, 300)
    [struck] = json.loads(room.ask_ses("GET", "faults"))["faults"]
    room.ask_ses("DELETE", "faults")
    taken = _taken(room, campaign_id)
    told = {row.email: row.outcome for row in room.postroom.report(campaign_id)}
    return {
        "broken": struck["struck"],
        "ambiguous": status.totals.ambiguous,
        "twice": sum(taken.values()) - len(taken),
        "lost": sum(
            one not in taken and outcome is not Outcome.AMBIGUOUS for one, outcome in told.items()
        ),
    }


def _taken(room: Lab, campaign_id: CampaignId) -> dict[str, int]:
    """Return how often SES took a mail to each address."""
    lines = room.ask_ses("GET", f"accepted?campaign={campaign_id}").splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["address"]: row["count"] for row in rows}


if __name__ == "__main__":
    main()
