"""What `postroom check` is told about a sender, by the simulator and by lesser servers."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from postroom import settings as settings_module
from postroom.errors import BadInputError
from postroom.settings import Account, Sender, Settings
from tests.simulator.running import RunningSimulator
from tests.support.raw_server import RawServer, answering
from worker.preflight import Level, Preflight, preflight

FROM = "Shop <news@mail.shop.example.com>"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSimulator]:
    flags = ("--verify-identities", "--check-configuration-sets", "--management-rate", "0")
    with RunningSimulator(*flags, "--rate", "14", "--quota", "50000") as simulator:
        yield simulator


@pytest.fixture
def simulator(running: RunningSimulator, monkeypatch: pytest.MonkeyPatch) -> RunningSimulator:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    running.post("reset")
    return running


def settings_for(url: str, *, account: dict[str, Any], sender: dict[str, Any]) -> Settings:
    main = Account(**{"region": "eu-west-1", "endpoint_url": url} | account)
    news = Sender(**{"account": "main", "from_": FROM} | sender)
    return msgspec.structs.replace(
        settings_module.load({}), accounts={"main": main}, senders={"news": news}
    )


def look(url: str, *, account: dict[str, Any] | None = None, **sender: Any) -> Preflight:
    return preflight(settings_for(url, account=account or {}, sender=sender), "news")


def levels(seen: Preflight) -> dict[str, Level]:
    return {one.what: one.level for one in seen.findings}


def verified(simulator: RunningSimulator, **more: Any) -> None:
    simulator.post("identities", {"name": "shop.example.com", "verified": True, **more})


def campaigns_set(simulator: RunningSimulator, *events: str) -> None:
    ses = simulator.ses
    ses.create_configuration_set(ConfigurationSetName="campaigns")
    ses.create_configuration_set_event_destination(
        ConfigurationSetName="campaigns",
        EventDestinationName="feedback",
        EventDestination={
            "Enabled": True,
            "MatchingEventTypes": list(events),
            "SnsDestination": {"TopicArn": "arn:aws:sns:eu-west-1:111122223333:x"},
        },
    )


def test_a_sender_in_good_order(simulator: RunningSimulator) -> None:
    verified(simulator, dkim_status="SUCCESS", dkim_signing_enabled=True)
    campaigns_set(simulator, "SEND", "BOUNCE", "COMPLAINT")
    seen = look(simulator.url, configuration_set="campaigns")
    assert set(levels(seen).values()) == {Level.OK}
    assert levels(seen).keys() == {"account", "identity", "configuration set"}
    assert (seen.good, seen.rate, seen.quota, seen.sent) == (True, 14.0, 50_000.0, 0.0)


def test_the_share_and_the_rate_of_the_settings_count(simulator: RunningSimulator) -> None:
    assert look(simulator.url, account={"share": 0.5}).rate == 7.0
    assert look(simulator.url, account={"share": 0.5}).quota == 25_000.0
    assert look(simulator.url, account={"max_send_rate": 3.0}).rate == 3.0


def test_a_reading_call_is_tried_again(simulator: RunningSimulator) -> None:
    simulator.fault("http_500", operation="GetAccount", times=1)
    assert look(simulator.url).rate == 14.0


def test_no_quota_is_infinite(simulator: RunningSimulator) -> None:
    simulator.settings(quota=-1)
    assert look(simulator.url).quota == float("inf")


def test_an_unverified_sender_is_a_problem(simulator: RunningSimulator) -> None:
    seen = look(simulator.url)
    assert (seen.good, levels(seen)["identity"]) == (False, Level.PROBLEM)
    detail = next(one.detail for one in seen.findings if one.what == "identity")
    assert detail == "the From address news@mail.shop.example.com is not verified in eu-west-1"


def test_an_identity_of_another_account_cannot_be_known(simulator: RunningSimulator) -> None:
    arn = "arn:aws:ses:eu-west-1:111122223333:identity/shop.example.com"
    assert levels(look(simulator.url, identity_arn=arn))["identity"] is Level.UNKNOWN


def test_weak_spots_of_an_identity_are_warnings(simulator: RunningSimulator) -> None:
    verified(
        simulator,
        dkim_status="PENDING",
        mail_from_domain="bounce.shop.example.com",
        mail_from_status="FAILED",
    )
    found = levels(look(simulator.url))
    assert (found["dkim"], found["mail from"]) == (Level.WARNING, Level.WARNING)
    assert found["configuration set"] is Level.WARNING


def test_a_configuration_set_that_does_not_exist_is_a_problem(
    simulator: RunningSimulator,
) -> None:
    assert levels(look(simulator.url, configuration_set="x"))["configuration set"] is Level.PROBLEM


def test_a_configuration_set_that_is_deaf_to_complaints_is_a_warning(
    simulator: RunningSimulator,
) -> None:
    campaigns_set(simulator, "BOUNCE")
    seen = look(simulator.url, configuration_set="campaigns")
    assert (Level.WARNING, "campaigns has no enabled destination for COMPLAINT events") in [
        (one.level, one.detail) for one in seen.findings
    ]


@pytest.mark.parametrize(
    ("setting", "level"),
    [
        ({"sending_enabled": False}, Level.PROBLEM),
        ({"enforcement_status": "SHUTDOWN"}, Level.PROBLEM),
        ({"enforcement_status": "PROBATION"}, Level.WARNING),
        ({"production_access": False}, Level.WARNING),
    ],
)
def test_the_standing_of_the_account(
    simulator: RunningSimulator, setting: dict[str, Any], level: Level
) -> None:
    simulator.settings(**setting)
    assert levels(look(simulator.url))["account"] is level


def test_refused_credentials_are_a_problem(simulator: RunningSimulator) -> None:
    simulator.settings(access_keys=["OTHER"])
    seen = look(simulator.url)
    assert (levels(seen)["account"], seen.rate) == (Level.PROBLEM, None)


def test_a_server_fault_says_what_was_asked(simulator: RunningSimulator) -> None:
    simulator.fault("http_500", operation="GetAccount")
    assert (Level.UNKNOWN, "account", "SES did not answer GetAccount") in look(
        simulator.url
    ).findings


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize(
    "answer",
    [
        answering("404 Not Found", b"<html>"),
        answering("200 OK", b"{}", "Content-Type: application/json"),
        answering("200 OK", b"<html>"),
        answering("500 Oops", b"<html>"),
    ],
)
def test_a_server_that_lacks_the_calls_leaves_things_unknown(answer: Any) -> None:
    with RawServer(answer) as server:
        seen = look(server.url, configuration_set="campaigns")
    assert levels(seen)["account"] is Level.UNKNOWN
    assert (seen.rate, seen.quota, seen.sent) == (None, None, None)


def test_an_unknown_sender_is_bad_input() -> None:
    with pytest.raises(BadInputError, match="no sender 'x'"):
        preflight(settings_for("http://127.0.0.1:1", account={}, sender={}), "x")


def test_settings_that_cannot_be_used_are_a_problem() -> None:
    for seen in (look("nonsense"), look("http://127.0.0.1:1", from_="Shop, News <a@b.example>")):
        assert levels(seen) == {"settings": Level.PROBLEM}
