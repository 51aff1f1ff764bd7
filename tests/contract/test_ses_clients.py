"""Clients and credentials: made once, never shared with a child, renewed when they fail."""

import contextlib
import gc
import multiprocessing
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import socket

import msgspec
import pytest
from botocore.exceptions import ClientError
from botocore.loaders import JSONFileLoader

from postroom.errors import BadInputError
from postroom.model import AccountName
from postroom.settings import Account
from tests.simulator.running import RunningSimulator
from tests.support.mail import MAIN, PEOPLE, carrier_to, kinds, mailing, send_bulk, settings_for
from tests.support.raw_server import RawServer, answering
from tests.support.waiting import wait_until
from worker.ses.account import AccountUnreadableError, read_account_of
from worker.ses.client import Clients
from worker.ses.connections import pool_of
from worker.ses.request import SesCarrier
from worker.ses.verdict import ACCEPTED, Kind, Verdict

TAKEN = b'{"BulkEmailEntryResults":[{"Status":"SUCCESS","MessageId":"1"}]}'


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
        child.join(timeout=60)
        assert said.get() is False

    def test_of_an_account_whose_settings_cannot_be_used_are_not_made(self) -> None:
        clients = Clients(settings_for("http://127.0.0.1:1", profile="nosuch"))
        with pytest.raises(BadInputError, match=r"settings: accounts\.main: .*profile.*nosuch"):
            clients.sending(MAIN)
        with pytest.raises(AccountUnreadableError) as caught:
            read_account_of(clients, MAIN)
        assert caught.value.verdict.kind is Kind.STOP_WORKER

    def test_ask_for_the_quota_once_as_ses_takes_one_question_a_second(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        with RawServer(answering("500 Internal Server Error", b"{}")) as server:
            with pytest.raises(AccountUnreadableError):
                read_account_of(Clients(settings_for(server.url)), MAIN)
            assert len(server.requests) == 1

    def test_keep_a_connection_for_each_call_in_flight(self) -> None:
        clients = Clients(settings_for("http://127.0.0.1:1"), calls_in_flight=80)
        assert clients.sending(MAIN).meta.config.max_pool_connections == 80


class TestManyAccounts:
    """One account more costs a client of its own, and no more than that."""

    ONE, TWO = AccountName("one"), AccountName("two")

    def clients(
        self, one: str, two: str, /, *, now: Callable[[], float] = lambda: 0.0, **profiles: str
    ) -> Clients:
        """Make the clients of two accounts at these addresses; each may have a profile."""
        settings = settings_for(one)
        accounts = {
            name: Account(region="eu-west-1", endpoint_url=url, profile=profiles.get(name, ""))
            for name, url in {self.ONE: one, self.TWO: two}.items()
        }
        return Clients(msgspec.structs.replace(settings, accounts=accounts), clock=now)

    @pytest.fixture
    def profiles(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        """One profile whose credentials come once the file `go` is there, and one that has them."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
        script = tmp_path / "keys.sh"
        script.write_text(
            f"touch {tmp_path}/asked; until [ -e {tmp_path}/go ]; do sleep 0.05; done\n"
            'echo \'{"Version": 1, "AccessKeyId": "AKIASLOW", "SecretAccessKey": "s"}\'\n'
        )
        (tmp_path / "config").write_text(
            f"[profile slow]\ncredential_process = sh {script}\n"
            "[profile quick]\naws_access_key_id = AKIAQUICK\naws_secret_access_key = s\n"
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        return tmp_path

    @pytest.mark.usefixtures("credentials")
    def test_at_one_place_share_their_connections(self, simulator: RunningSimulator) -> None:
        clients = self.clients(simulator.url, simulator.url)
        with ThreadPoolExecutor(1) as one_after_the_other:
            for name in (self.ONE, self.TWO):
                one_after_the_other.submit(clients.sending(name).get_account).result()
        one, two = (pool_of(clients.sending(name)) for name in (self.ONE, self.TWO))
        assert one is two
        (connections,) = one._manager.pools._container.values()
        assert connections.num_connections == 1

    def test_elsewhere_or_with_other_credentials_share_nothing(self, profiles: Path) -> None:
        clients = self.clients("http://127.0.0.1:1", "http://127.0.0.1:2", one="quick", two="quick")
        one, two = clients.sending(self.ONE), clients.sending(self.TWO)
        assert pool_of(one) is not pool_of(two)
        (profiles / "go").touch()
        clients = self.clients("http://127.0.0.1:1", "http://127.0.0.1:1", one="quick", two="slow")
        keys = [clients.access_key(name) for name in (self.ONE, self.TWO)]
        assert keys == ["AKIAQUICK", "AKIASLOW"]

    def test_read_the_files_of_botocore_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read: list[str] = []
        load = JSONFileLoader.load_file

        def counting(loader: JSONFileLoader, path: str) -> object:
            found = load(loader, path)
            if found is not None:
                read.append(path)
            return found

        monkeypatch.setattr(JSONFileLoader, "load_file", counting)
        clients = self.clients("http://127.0.0.1:1", "http://127.0.0.1:2")
        clients.sending(self.ONE)
        read.clear()
        clients.sending(self.TWO)
        Clients(settings_for("http://127.0.0.1:3")).sending(MAIN)
        assert read == []

    def test_wait_for_no_client_of_another(self, profiles: Path) -> None:
        """Whose credentials are slow to come delays those only who need the same."""
        clients = self.clients("http://127.0.0.1:1", "http://127.0.0.1:1", one="slow", two="quick")
        with ThreadPoolExecutor(2) as threads:
            slow = threads.submit(clients.sending, self.ONE)
            try:
                wait_until((profiles / "asked").exists, "the slow one is asked for its keys")
                quick = threads.submit(clients.sending, self.TWO).result(timeout=20)
                assert not slow.done()
            finally:
                (profiles / "go").touch()
            assert slow.result(timeout=20) is not quick

    def test_have_their_clients_closed_when_unused_for_minutes(self) -> None:
        now = [0.0]
        clients = self.clients("http://127.0.0.1:1", "http://127.0.0.1:2", now=lambda: now[0])
        one, two = weakref.ref(clients.sending(self.ONE)), weakref.ref(clients.sending(self.TWO))
        connections = weakref.ref(pool_of(two()))
        now[0] = 299.0
        clients.sending(self.ONE)
        now[0] = 301.0
        clients.close_unused()
        gc.collect()
        assert one() is clients.sending(self.ONE)
        assert (two(), connections()) == (None, None)
        assert clients.sending(self.TWO).meta.endpoint_url == "http://127.0.0.1:2"

    @pytest.mark.usefixtures("credentials")
    def test_keep_their_clients_when_another_is_refused(self, simulator: RunningSimulator) -> None:
        clients = self.clients(simulator.url, simulator.url)
        one, two = clients.sending(self.ONE), clients.sending(self.TWO)
        simulator.settings(access_keys=["ANOTHER"])
        with pytest.raises(ClientError):
            one.get_account()
        assert clients.sending(self.ONE) is not one
        assert clients.sending(self.TWO) is two

    @pytest.mark.usefixtures("credentials")
    def test_do_not_read_an_answer_that_is_still_to_come_to_another(self) -> None:
        def early(connection: socket, request: bytes) -> None:
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            connection.recv(1)

        with RawServer(early) as server:
            clients = self.clients(server.url, server.url)
            one, two = clients.sending(self.ONE), clients.sending(self.TWO)
            with contextlib.suppress(Exception):
                one.get_account()
            assert clients.sending(self.TWO) is not two
            assert pool_of(clients.sending(self.TWO)) is not pool_of(two)
            assert pool_of(clients.sending(self.ONE)) is pool_of(clients.sending(self.TWO))


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


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
    def test_without_credentials_it_is_left_to_other_workers(self, account: dict[str, str]) -> None:
        verdicts = send_bulk(carrier_to("http://127.0.0.1:1", **account), count=2)
        assert kinds(verdicts) == [Kind.STOP_WORKER] * 2
        assert "credentials" in verdicts[0].reason or "profile (nosuch)" in verdicts[0].reason

    def test_an_endpoint_that_is_no_url_is_left_to_other_workers(self) -> None:
        verdicts = send_bulk(carrier_to("nonsense"), count=1)
        assert verdicts[0].kind is Kind.STOP_WORKER

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
        assert kinds(send_bulk(carrier, count=1)) == [Kind.STOP_WORKER]
        write_key("REVOKED")
        assert kinds(send_bulk(carrier, count=1)) == [Kind.STOP_ACCOUNT]
        write_key("GOOD")
        assert kinds(send_bulk(carrier, count=1)) == [Kind.ACCEPTED]

    def test_a_key_that_was_changed_before_it_was_refused_is_used_at_once(
        self, simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))

        def write_key(key: str) -> None:
            text = f"[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n"
            (tmp_path / "credentials").write_text(text)

        write_key("OLD")
        clients = Clients(settings_for(simulator.url))
        carrier = carrier_to(simulator.url)
        assert kinds(send_bulk(carrier, count=1)) == [Kind.ACCEPTED]
        assert read_account_of(clients, MAIN).sending_enabled
        write_key("NEW")
        simulator.settings(access_keys=["NEW"])
        assert kinds(send_bulk(carrier, count=1)) == [Kind.ACCEPTED]
        assert read_account_of(clients, MAIN).sending_enabled
        simulator.settings(access_keys=["NEWER"])
        assert carrier.send_one(mailing(), 7, 0, PEOPLE[0]).kind is Kind.STOP_ACCOUNT
        with pytest.raises(AccountUnreadableError):
            read_account_of(clients, MAIN)

    @pytest.mark.parametrize("status", ["102 Processing", "103 Early Hints"])
    def test_an_answer_that_is_still_to_come_is_not_taken_for_that_of_the_next_call(
        self, simulator: RunningSimulator, status: str
    ) -> None:
        """Of a gateway that keeps a connection; as that, it would have the next call sent again."""
        late = b'{"BulkEmailEntryResults":[{"Status":"ACCOUNT_THROTTLED"}]}'
        json = "Content-Type: application/json"

        def answer(connection: socket, request: bytes) -> None:
            if len(server.requests) > 1:
                answering("200 OK", TAKEN, json)(connection, request)
                return
            connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
            if connection.recv(1):  # The next call, on this connection.
                answering("200 OK", late, json)(connection, request)

        with RawServer(answer) as server:
            carrier = carrier_to(server.url)
            assert kinds(send_bulk(carrier, count=1)) == [Kind.AMBIGUOUS]
            assert kinds(send_bulk(carrier, count=1)) == [Kind.ACCEPTED]

    def test_a_passing_fault_keeps_the_client(self, simulator: RunningSimulator) -> None:
        clients = Clients(settings_for(simulator.url))
        before = clients.sending(MAIN)
        simulator.fault("cut_before")
        carrier = SesCarrier(
            lambda: clients.sending(MAIN),
            region="eu-west-1",
            changed=lambda: clients.changed(MAIN),
        )
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

    def test_a_call_that_waited_too_long_for_its_credentials_does_not_leave(
        self, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with RawServer(answering("200 OK", ASSUMED, "Content-Type: text/xml")) as sts:
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
            carrier = carrier_to(simulator.url, role_arn="arn:aws:iam::111122223333:role/mail")
            made = mailing()
            verdict = carrier.send_one(made, 7, 0, PEOPLE[0], lambda: "late" * len(sts.requests))
        assert verdict == Verdict(Kind.UNSENT, "late")
        assert simulator.stats["accepted"] == 0

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (answering("403 Forbidden", b"<ErrorResponse/>"), Kind.STOP_ACCOUNT),
            (answering("503 Unavailable", b"<html>"), Kind.UNREACHABLE),
            (lambda *_: None, Kind.UNREACHABLE),
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
