"""What only the real carrier can get wrong: the answers of SES, and of what is not SES."""

import time
from socket import socket

import pytest

from postroom.model import Recipient
from tests.simulator.running import RunningSimulator
from tests.support.mail import PEOPLE, carrier_to, kinds, mailing, send_bulk, simulated
from tests.support.raw_server import Answer, RawServer, answering
from tests.support.waiting import wait_until
from worker.ses.verdict import Kind, Verdict

SIMULATED = [
    ("throttle", Kind.THROTTLED, Kind.THROTTLED),
    ("rate_exceeded", Kind.THROTTLED, Kind.BULK_THROTTLED),
    ("quota", Kind.QUOTA, Kind.QUOTA),
    ("http_500", Kind.AMBIGUOUS, Kind.AMBIGUOUS),
    ("http_503_after", Kind.AMBIGUOUS, Kind.AMBIGUOUS),
    ("cut_before", Kind.AMBIGUOUS, Kind.AMBIGUOUS),
    ("garbage_after", Kind.AMBIGUOUS, Kind.AMBIGUOUS),
    ("paused", Kind.STOP_ACCOUNT, Kind.STOP_ACCOUNT),
    ("suspended", Kind.STOP_ACCOUNT, Kind.STOP_ACCOUNT),
    ("bad_credentials", Kind.STOP_ACCOUNT, Kind.STOP_ACCOUNT),
    ("expired_token", Kind.STOP_ACCOUNT, Kind.STOP_ACCOUNT),
    ("bad_signature", Kind.STOP_ACCOUNT, Kind.STOP_ACCOUNT),
    ("access_denied", Kind.STOP_CAMPAIGN, Kind.STOP_CAMPAIGN),
    ("identity_not_verified", Kind.STOP_CAMPAIGN, Kind.STOP_CAMPAIGN),
    ("mail_from_not_verified", Kind.STOP_CAMPAIGN, Kind.STOP_CAMPAIGN),
    ("configuration_set_not_found", Kind.STOP_CAMPAIGN, Kind.STOP_CAMPAIGN),
]


@pytest.mark.parametrize(("fault", "single", "bulk"), SIMULATED)
def test_a_fault_of_ses(simulator: RunningSimulator, fault: str, single: Kind, bulk: Kind) -> None:
    simulator.fault(fault)
    carrier = simulated(simulator.url)
    assert carrier.send_one(mailing(), 7, 0, PEOPLE[0]).kind is single
    assert kinds(send_bulk(carrier, count=2)) == [bulk] * 2


def test_a_call_that_takes_too_long_is_ambiguous(simulator: RunningSimulator) -> None:
    simulator.fault("hang_after", seconds=1)
    carrier = carrier_to(simulator.url, patience=0.3)
    assert kinds(send_bulk(carrier, count=2)) == [Kind.AMBIGUOUS] * 2
    assert simulator.stats["accepted"] == 2


class TestLimits:
    def test_entries_above_the_rate_are_throttled(self, simulator: RunningSimulator) -> None:
        simulator.settings(rate=2)
        assert (
            kinds(send_bulk(simulated(simulator.url))) == [Kind.ACCEPTED] * 2 + [Kind.THROTTLED] * 3
        )

    def test_entries_above_the_quota_wait_for_it(self, simulator: RunningSimulator) -> None:
        simulator.settings(quota=3)
        carrier = simulated(simulator.url)
        assert kinds(send_bulk(carrier)) == [Kind.ACCEPTED] * 3 + [Kind.QUOTA] * 2
        assert carrier.send_one(mailing(), 7, 4, PEOPLE[4]).kind is Kind.QUOTA

    def test_a_sandbox_rejects_strangers_and_an_unverified_sender_stops_the_campaign(
        self, simulator: RunningSimulator
    ) -> None:
        carrier = simulated(simulator.url)
        simulator.settings(
            production_access=False,
            verify_identities=True,
            verified=["shop.example.com", PEOPLE[0].email],
        )
        assert kinds(send_bulk(carrier, count=2)) == [Kind.ACCEPTED, Kind.REJECTED]
        simulator.settings(verified=[])
        assert send_bulk(carrier, count=1) == [
            Verdict(
                Kind.STOP_CAMPAIGN,
                "SES refuses the From address news@shop.example.com: not verified in eu-west-1",
            )
        ]

    def test_a_bad_address_is_rejected_alone(self, simulator: RunningSimulator) -> None:
        carrier, made = simulated(simulator.url), mailing()
        bad = Recipient("not an address", {"name": "N"})
        entries = [made.bulk_entry(at, one) for at, one in enumerate([PEOPLE[0], bad])]
        assert kinds(carrier.send_bulk(made, 1, entries)) == [Kind.ACCEPTED, Kind.REJECTED]
        verdict = carrier.send_one(made, 1, 1, bad)
        assert verdict[:2] == (Kind.REJECTED, "SES refuses the syntax of the recipient's address")


def silence(_: socket, __: bytes) -> None:
    time.sleep(0.8)  # noqa: TID251 - the server's own slowness


def half_an_answer(connection: socket, _: bytes) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"BulkEmail')


JSON = "Content-Type: application/json"
RAW = [
    ("hangs up", lambda *_: None, Kind.AMBIGUOUS),
    ("says nothing", silence, Kind.AMBIGUOUS),
    ("stops half way", half_an_answer, Kind.AMBIGUOUS),
    ("speaks no HTTP", lambda connection, _: connection.sendall(b"\0\1"), Kind.AMBIGUOUS),
    ("a page", answering("200 OK", b"<html>hello</html>"), Kind.AMBIGUOUS),
    ("an empty page", answering("200 OK", b""), Kind.AMBIGUOUS),
    ("another JSON", answering("200 OK", b"[1,2]", JSON), Kind.AMBIGUOUS),
    ("null", answering("200 OK", b"null", JSON), Kind.AMBIGUOUS),
    (
        "odd members",
        answering("200 OK", b'{"BulkEmailEntryResults":"x","MessageId":{}}', JSON),
        Kind.AMBIGUOUS,
    ),
    (
        "odd results",
        answering("200 OK", b'{"BulkEmailEntryResults":[1,null]}', JSON),
        Kind.AMBIGUOUS,
    ),
    ("bad gateway", answering("502 Bad Gateway", b"<html>"), Kind.AMBIGUOUS),
    ("429 alone", answering("429 Too Many Requests", b""), Kind.THROTTLED),
    ("403 alone", answering("403 Forbidden", b"<html>"), Kind.STOP_ACCOUNT),
    ("moved", answering("301 Moved", b"", "Location: https://elsewhere/"), Kind.STOP_CAMPAIGN),
    (
        "null message",
        answering("400 Bad", b'{"message":null}', JSON, "x-amzn-ErrorType: SendingPausedException"),
        Kind.STOP_ACCOUNT,
    ),
    (
        "code in the body",
        answering("400 Bad", b'{"__type":"x#Throttling","message":"Daily message quota"}', JSON),
        Kind.QUOTA,
    ),
]


@pytest.mark.usefixtures("simulator")  # For its credentials.
class TestMisbehavingServer:
    @pytest.mark.parametrize(
        ("answer", "kind"), [one[1:] for one in RAW], ids=[one[0] for one in RAW]
    )
    def test_is_read_and_asked_once(self, answer: Answer, kind: Kind) -> None:
        with RawServer(answer) as server:
            carrier = carrier_to(server.url, patience=0.5 if answer is silence else 30.0)
            assert kinds(send_bulk(carrier, count=2)) == [kind] * 2
            assert carrier.send_one(mailing(), 7, 0, PEOPLE[0]).kind is kind
            wait_until(lambda: len(server.requests) >= 2, "both calls are there")
            assert len(server.requests) == 2

    def test_that_is_not_there_was_sent_nothing(self) -> None:
        with RawServer(silence) as gone:
            url = gone.url
        assert kinds(send_bulk(carrier_to(url), count=2)) == [Kind.UNREACHABLE] * 2

    def test_without_bulk_calls_is_used_one_by_one(self) -> None:
        with RawServer(answering("404 Not Found", b"<html>no such page</html>")) as server:
            assert kinds(send_bulk(carrier_to(server.url), count=2)) == [Kind.BULK_UNKNOWN] * 2
