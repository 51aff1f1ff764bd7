"""Which AWS account a section is: STS is asked where it may be, else the access key tells."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import socket
from threading import Barrier

import msgspec
import pytest

from postroom.model import AccountName
from tests.support.mail import MAIN, settings_for
from tests.support.raw_server import RawServer, answering
from worker.ses.client import Clients
from worker.ses.whose import CallerIdentity, Whose

CALLER = b"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/mail</Arn><UserId>U</UserId>
<Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAONE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.delenv("AWS_ENDPOINT_URL_STS", raising=False)


def identity(url: str = "http://127.0.0.1:1") -> CallerIdentity | None:
    return Whose(Clients(settings_for(url))).identity(MAIN)


def test_sts_is_asked_once_for_each_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(answering("200 OK", CALLER, "Content-Type: text/xml")) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        whose = Whose(Clients(settings_for("http://127.0.0.1:1")))
        expected = CallerIdentity(name="aws:111122223333:eu-west-1", sure=True)
        assert [whose.identity(MAIN), whose.identity(MAIN)] == [expected, expected]
        assert len(sts.requests) == 1


def test_without_sts_the_access_key_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    one, again = identity(), identity()
    assert one == again
    assert one is not None
    assert one.sure
    assert "AKIAONE" not in one.name
    assert identity("http://127.0.0.1:2") != one
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATWO")
    assert identity() != one


def test_an_sts_that_refuses_is_no_trouble_and_less_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(answering("403 Forbidden", b"<ErrorResponse/>")) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        found = identity()
    assert found is not None
    assert not found.sure


def test_an_account_does_not_wait_for_what_sts_says_of_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where STS cannot be reached, each account would wait for all before it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    names = ["one", "two", "three"]
    profiles = (f"[{one}]\naws_access_key_id=AKIA{one}\naws_secret_access_key=s" for one in names)
    (tmp_path / "credentials").write_text("\n".join(profiles))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    together = Barrier(len(names))

    def answer(connection: socket, request: bytes) -> None:
        together.wait(timeout=5)
        answering("200 OK", CALLER, "Content-Type: text/xml")(connection, request)

    plain = settings_for("http://127.0.0.1:1")
    accounts = {one: msgspec.structs.replace(plain.accounts["main"], profile=one) for one in names}
    whose = Whose(Clients(msgspec.structs.replace(plain, accounts=accounts)))
    with RawServer(answer) as sts, ThreadPoolExecutor(len(names)) as threads:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        found = list(threads.map(whose.identity, map(AccountName, names)))
    assert all(one and one.sure for one in found)


def test_temporary_keys_name_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIATEMPORARY")
    assert identity() is None


def test_without_credentials_there_is_no_telling(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    assert identity() is None
