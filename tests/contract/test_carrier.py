"""One set of laws for whoever carries mail: the fake that other tests use, and SES itself.

SES is the simulator here; below stands what only the real carrier can get wrong.
"""

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from socket import socket
from typing import Any, Protocol

import msgspec
import pytest

from postroom import settings as settings_module
from postroom.errors import BadInputError
from postroom.model import AccountName, Campaign, CampaignId, Recipient, SenderName
from postroom.settings import Account, Sender, Settings
from tests.simulator.running import RunningSimulator
from tests.support.fake_carrier import FakeCarrier, Sent
from tests.support.raw_server import Answer, RawServer, answering
from worker.delivery import Carrier
from worker.render import Mailing
from worker.ses.account import AccountUnreadableError, read_account_of
from worker.ses.client import Clients
from worker.ses.request import SesCarrier
from worker.ses.verdict import ACCEPTED, Kind, Verdict

MAIN = AccountName("main")
SENDER = Sender(account="main", from_="Shop <news@shop.example.com>")
PEOPLE = [Recipient(f"user{at}@example.org", {"name": f"N{at}"}) for at in range(5)]


def settings_for(url: str, **account: Any) -> Settings:
    loaded = settings_module.load({})
    ses = msgspec.structs.replace(loaded.ses, connect_timeout_seconds=1.0, read_timeout_seconds=0.5)
    main = Account(region="eu-west-1", endpoint_url=url, **account)
    return msgspec.structs.replace(
        loaded, ses=ses, accounts={"main": main}, senders={"news": SENDER}
    )


def carrier_to(url: str, **account: Any) -> SesCarrier:
    clients = Clients(settings_for(url, **account))
    return SesCarrier(lambda: clients.sending(MAIN), region="eu-west-1")


@cache
def simulated(url: str) -> SesCarrier:
    """The carrier that most tests share: to make a client takes botocore a while."""
    return carrier_to(url)


def mailing(sender: Sender = SENDER, **parts: Any) -> Mailing:
    made = {"subject": "Hi {{ name }}", "text": "Hello {{ name }}"} | parts
    campaign = Campaign(name="Autumn", sender=SenderName("news"), **made)
    return Mailing(CampaignId("c42"), campaign, sender)


def send_bulk(carrier: Carrier, made: Mailing | None = None, count: int = 5) -> list[Verdict]:
    made = made or mailing()
    entries = [made.bulk_entry(at, one) for at, one in enumerate(PEOPLE[:count])]
    return carrier.send_bulk(made, 7, entries)


def kinds(verdicts: list[Verdict]) -> list[Kind]:
    return [one.kind for one in verdicts]


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture
def simulator(
    shared_simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> RunningSimulator:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    shared_simulator.post("reset")
    return shared_simulator


class Rig(Protocol):
    """A carrier, and how to make things happen behind it."""

    carrier: Carrier

    def sent(self) -> list[Sent]: ...
    def refuse_next(self, address: str) -> None: ...
    def throttle_next_call(self) -> None: ...
    def lose_next_answer(self) -> None: ...


class FakeRig:
    def __init__(self) -> None:
        self.carrier = FakeCarrier()

    def sent(self) -> list[Sent]:
        return list(self.carrier.sent)

    def refuse_next(self, address: str) -> None:
        self.carrier.refuse(address, Kind.REJECTED)

    def throttle_next_call(self) -> None:
        self.carrier.end_next_call(Kind.THROTTLED)

    def lose_next_answer(self) -> None:
        self.carrier.end_next_call(Kind.AMBIGUOUS, accepts=True)


class SesRig:
    def __init__(self, simulator: RunningSimulator) -> None:
        self.carrier = simulated(simulator.url)
        self._simulator = simulator

    def sent(self) -> list[Sent]:
        mails = self._simulator.get("mails?limit=1000")["mails"]
        return [
            Sent(
                mail["to"][0],
                mail["tags"]["campaign"],
                int(mail["tags"]["batch"]),
                int(mail["tags"]["index"]),
                bulk=mail["operation"] == "SendBulkEmail",
            )
            for mail in reversed(mails)
        ]

    def refuse_next(self, address: str) -> None:
        self._simulator.fault("entry", address=address, status="MESSAGE_REJECTED", times=1)

    def throttle_next_call(self) -> None:
        self._simulator.fault("throttle", times=1)

    def lose_next_answer(self) -> None:
        self._simulator.fault("cut_after", times=1)


@pytest.fixture(params=["fake", "ses"])
def rig(request: pytest.FixtureRequest) -> Rig:
    return FakeRig() if request.param == "fake" else SesRig(request.getfixturevalue("simulator"))


class TestEveryCarrier:
    def test_sends_each_mail_once_with_its_place_in_the_campaign(self, rig: Rig) -> None:
        assert send_bulk(rig.carrier) == [ACCEPTED] * 5
        assert rig.carrier.send_one(mailing(), 8, 3, PEOPLE[3]) == ACCEPTED
        assert rig.sent() == [
            *(Sent(one.email, "c42", 7, at, bulk=True) for at, one in enumerate(PEOPLE)),
            Sent(PEOPLE[3].email, "c42", 8, 3, bulk=False),
        ]

    def test_judges_each_entry_by_itself(self, rig: Rig) -> None:
        rig.refuse_next(PEOPLE[2].email)
        expected = [Kind.ACCEPTED, Kind.ACCEPTED, Kind.REJECTED, Kind.ACCEPTED, Kind.ACCEPTED]
        assert kinds(send_bulk(rig.carrier)) == expected
        assert PEOPLE[2].email not in [one.to for one in rig.sent()]
        assert rig.carrier.send_one(mailing(), 7, 2, PEOPLE[2]) == ACCEPTED

    def test_a_refused_call_is_the_verdict_of_all_its_entries(self, rig: Rig) -> None:
        rig.throttle_next_call()
        assert kinds(send_bulk(rig.carrier)) == [Kind.THROTTLED] * 5
        rig.throttle_next_call()
        assert rig.carrier.send_one(mailing(), 7, 0, PEOPLE[0]).kind is Kind.THROTTLED
        assert rig.sent() == []

    def test_a_lost_answer_is_ambiguous_and_not_tried_again(self, rig: Rig) -> None:
        rig.lose_next_answer()
        assert kinds(send_bulk(rig.carrier)) == [Kind.AMBIGUOUS] * 5
        rig.lose_next_answer()
        assert rig.carrier.send_one(mailing(), 7, 0, PEOPLE[0]).kind is Kind.AMBIGUOUS
        assert len(rig.sent()) == 6

    def test_a_mail_that_cannot_be_made_is_rejected_and_not_sent(self, rig: Rig) -> None:
        verdict = rig.carrier.send_one(mailing(), 7, 0, Recipient("ana@example.org"))
        assert verdict == (Kind.REJECTED, "subject: the recipient lacks the field 'name'")
        assert rig.sent() == []


class TestMail:
    def test_is_the_same_from_a_plain_a_rendered_and_a_single_call(
        self, simulator: RunningSimulator
    ) -> None:
        odd = Recipient("ana@example.org", {"name": "Añä <b>\"&'{{ x }}\n\\ 😀"})
        html, url = "<p title='{{ name }}'>{{ email }}</p>", "https://shop.example.com/{{ name }}"
        parts = {"html": html, "unsubscribe_url": url, "headers": {"X-Shop": "1"}}
        plain = mailing(text="{{ name }} {{ unsubscribe_url }}", **parts)
        rendered = mailing(text="{{ name }}{{ ' ' }}{{ unsubscribe_url }}", **parts)
        assert (plain.is_plain, rendered.is_plain) == (True, False)
        carrier = simulated(simulator.url)
        for made in (plain, rendered):
            assert carrier.send_bulk(made, 1, [made.bulk_entry(0, odd)]) == [ACCEPTED]
            assert carrier.send_one(made, 1, 0, odd) == ACCEPTED
        mails = simulator.get("mails")["mails"]
        shown = [{key: mail[key] for key in ("subject", "html", "text")} for mail in mails]
        headers = [{one["name"]: one["value"] for one in mail["headers"]} for mail in mails]
        assert shown == [shown[0]] * 4
        assert headers == [headers[0]] * 4
        assert headers[0].keys() == {"X-Shop", "List-Unsubscribe", "List-Unsubscribe-Post"}
        assert shown[0]["html"].startswith("<p title='Añä &lt;b&gt;&#34;&amp;&#39;{{ x }}\n\\ 😀'>")

    def test_carries_what_the_sender_and_the_campaign_set(
        self, simulator: RunningSimulator
    ) -> None:
        sender = Sender(
            account="main",
            from_="Käse <news@shop.example.com>",
            reply_to=["help@shop.example.com"],
            configuration_set="campaigns",
        )
        made = mailing(sender, tags={"season": "autumn"})
        carrier = simulated(simulator.url)
        send_bulk(carrier, made, count=1)
        carrier.send_one(made, 7, 0, PEOPLE[0])
        for mail in simulator.get("mails")["mails"]:
            assert mail["from"] == "=?utf-8?b?S8Okc2U=?= <news@shop.example.com>"
            assert mail["reply_to"] == ["help@shop.example.com"]
            assert mail["configuration_set"] == "campaigns"
            assert mail["tags"] == {
                "season": "autumn",
                "campaign": "c42",
                "batch": "7",
                "index": "0",
            }

    @pytest.mark.usefixtures("simulator")  # For its credentials.
    def test_has_all_its_tags_on_itself(self) -> None:
        """SES has been seen to ignore the default tags of a bulk call."""
        with RawServer(answering("200 OK", b"{}")) as server:
            send_bulk(carrier_to(server.url), mailing(tags={"season": "autumn"}), count=1)
        body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
        tags = body["BulkEmailEntries"][0]["ReplacementTags"]
        assert {tag["Name"] for tag in tags} == {"season", "campaign", "batch", "index"}


SIMULATED = [
    ("throttle", {}, Kind.THROTTLED, Kind.THROTTLED),
    ("rate_exceeded", {}, Kind.THROTTLED, Kind.BULK_THROTTLED),
    ("quota", {}, Kind.QUOTA, Kind.QUOTA),
    ("http_500", {}, Kind.AMBIGUOUS, Kind.AMBIGUOUS),
    ("http_503_after", {}, Kind.AMBIGUOUS, Kind.AMBIGUOUS),
    ("cut_before", {}, Kind.AMBIGUOUS, Kind.AMBIGUOUS),
    ("hang_after", {"seconds": 1}, Kind.AMBIGUOUS, Kind.AMBIGUOUS),
    ("garbage_after", {}, Kind.AMBIGUOUS, Kind.AMBIGUOUS),
    ("paused", {}, Kind.STOP_ACCOUNT, Kind.STOP_ACCOUNT),
    ("suspended", {}, Kind.STOP_ACCOUNT, Kind.STOP_ACCOUNT),
    ("bad_credentials", {}, Kind.STOP_ACCOUNT, Kind.STOP_ACCOUNT),
    ("expired_token", {}, Kind.STOP_ACCOUNT, Kind.STOP_ACCOUNT),
    ("bad_signature", {}, Kind.STOP_ACCOUNT, Kind.STOP_ACCOUNT),
    ("access_denied", {}, Kind.STOP_CAMPAIGN, Kind.STOP_CAMPAIGN),
    ("identity_not_verified", {}, Kind.STOP_CAMPAIGN, Kind.STOP_CAMPAIGN),
    ("mail_from_not_verified", {}, Kind.STOP_CAMPAIGN, Kind.STOP_CAMPAIGN),
    ("configuration_set_not_found", {}, Kind.STOP_CAMPAIGN, Kind.STOP_CAMPAIGN),
]


@pytest.mark.parametrize(("fault", "how", "single", "bulk"), SIMULATED)
def test_a_fault_of_ses(
    simulator: RunningSimulator, fault: str, how: dict[str, Any], single: Kind, bulk: Kind
) -> None:
    simulator.fault(fault, **how)
    carrier = simulated(simulator.url)
    assert carrier.send_one(mailing(), 7, 0, PEOPLE[0]).kind is single
    assert kinds(send_bulk(carrier, count=2)) == [bulk] * 2


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
        assert verdict == (Kind.REJECTED, "SES refuses the syntax of the recipient's address")


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
            carrier = carrier_to(server.url)
            assert kinds(send_bulk(carrier, count=2)) == [kind] * 2
            assert carrier.send_one(mailing(), 7, 0, PEOPLE[0]).kind is kind
            assert len(server.requests) == 2

    def test_that_is_not_there_was_sent_nothing(self) -> None:
        with RawServer(silence) as gone:
            url = gone.url
        assert kinds(send_bulk(carrier_to(url), count=2)) == [Kind.TRANSIENT] * 2

    def test_without_bulk_calls_is_used_one_by_one(self) -> None:
        with RawServer(answering("404 Not Found", b"<html>no such page</html>")) as server:
            assert kinds(send_bulk(carrier_to(server.url), count=2)) == [Kind.BULK_THROTTLED] * 2


class TestClients:
    def test_are_made_once_and_shared_by_threads(self) -> None:
        clients = Clients(settings_for("http://127.0.0.1:1"))
        with ThreadPoolExecutor(4) as threads:
            made = list(threads.map(lambda _: clients.sending(MAIN), range(8)))
        assert len({id(one) for one in made}) == 1
        assert clients.reading(MAIN) is not made[0]

    def test_are_not_shared_with_a_forked_child(self) -> None:
        clients = Clients(settings_for("http://127.0.0.1:1"))
        ours = clients.sending(MAIN)
        fork = multiprocessing.get_context("fork")
        said = fork.SimpleQueue()
        child = fork.Process(target=lambda: said.put(clients.sending(MAIN) is ours))
        child.start()
        child.join(timeout=20)
        assert said.get() is False

    def test_of_an_account_whose_settings_cannot_be_used_are_not_made(self) -> None:
        clients = Clients(settings_for("http://127.0.0.1:1", profile="nosuch"))
        with pytest.raises(BadInputError, match=r"settings: accounts\.main: .*profile.*nosuch"):
            clients.sending(MAIN)
        with pytest.raises(AccountUnreadableError) as caught:
            read_account_of(clients, MAIN)
        assert caught.value.verdict.kind is Kind.STOP_ACCOUNT

    def test_keep_a_connection_for_each_call_in_flight(self) -> None:
        clients = Clients(settings_for("http://127.0.0.1:1"), calls_in_flight=80)
        assert clients.sending(MAIN).meta.config.max_pool_connections == 80


class TestSettings:
    @pytest.fixture
    def no_aws(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))

    @pytest.mark.usefixtures("no_aws")
    @pytest.mark.parametrize(
        "account", [{}, {"profile": "nosuch"}, {"role_arn": "arn:aws:iam::111122223333:role/x"}]
    )
    def test_without_credentials_a_person_must_act(self, account: dict[str, str]) -> None:
        verdicts = send_bulk(carrier_to("http://127.0.0.1:1", **account), count=2)
        assert kinds(verdicts) == [Kind.STOP_ACCOUNT] * 2
        assert "credentials" in verdicts[0].reason or "profile (nosuch)" in verdicts[0].reason

    def test_an_endpoint_that_is_no_url_needs_a_person(self) -> None:
        verdicts = send_bulk(carrier_to("nonsense"), count=1)
        assert verdicts[0].kind is Kind.STOP_ACCOUNT

    def test_the_endpoint_may_come_from_the_environment(
        self, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", simulator.url)
        assert send_bulk(carrier_to(""), count=1) == [ACCEPTED]

    def test_credentials_that_are_mended_are_used_at_once(
        self, simulator: RunningSimulator, no_aws: None, tmp_path: Path
    ) -> None:
        def write_key(name: str) -> None:
            text = f"[default]\naws_access_key_id = {name}\naws_secret_access_key = s\n"
            (tmp_path / "credentials").write_text(text)

        simulator.settings(access_keys=["GOOD"])
        carrier = carrier_to(simulator.url)
        assert kinds(send_bulk(carrier, count=1)) == [Kind.STOP_ACCOUNT]
        write_key("REVOKED")
        assert kinds(send_bulk(carrier, count=1)) == [Kind.STOP_ACCOUNT]
        write_key("GOOD")
        assert kinds(send_bulk(carrier, count=1)) == [Kind.ACCEPTED]

    def test_a_passing_fault_keeps_the_client(self, simulator: RunningSimulator) -> None:
        clients = Clients(settings_for(simulator.url))
        before = clients.sending(MAIN)
        simulator.fault("cut_before")
        carrier = SesCarrier(lambda: clients.sending(MAIN), region="eu-west-1")
        assert kinds(send_bulk(carrier, count=1)) == [Kind.AMBIGUOUS]
        assert clients.sending(MAIN) is before

    def test_a_role_is_assumed_and_its_credentials_are_used(
        self, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with RawServer(answering("200 OK", ASSUMED, "Content-Type: text/xml")) as sts:
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
            carrier = carrier_to(simulator.url, role_arn="arn:aws:iam::111122223333:role/mail")
            assert send_bulk(carrier, count=1) == [ACCEPTED]
            simulator.settings(access_keys=["ASIAROLE"])
            assert send_bulk(carrier, count=1) == [ACCEPTED]
            assert len(sts.requests) == 1

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (answering("403 Forbidden", b"<ErrorResponse/>"), Kind.STOP_ACCOUNT),
            (answering("503 Unavailable", b"<html>"), Kind.TRANSIENT),
            (lambda *_: None, Kind.TRANSIENT),
        ],
    )
    def test_a_role_that_is_not_given_sends_nothing(
        self,
        simulator: RunningSimulator,
        monkeypatch: pytest.MonkeyPatch,
        answer: Callable[[socket, bytes], None],
        kind: Kind,
    ) -> None:
        with RawServer(answer) as sts:
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
            monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
            carrier = carrier_to(simulator.url, role_arn="arn:aws:iam::111122223333:role/mail")
            assert kinds(send_bulk(carrier, count=1)) == [kind]
        assert simulator.stats["accepted"] == 0


ASSUMED = b"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId>
<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>
</AssumeRoleResponse>"""
