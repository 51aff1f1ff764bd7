"""Scripted faults: what a sender sees, and whether the mail was accepted all the same."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ReadTimeoutError,
)

from tests.simulator.running import RunningSimulator, people, said, statuses
from tests.support.waiting import wait_until


def outcome(send: Callable[[], object]) -> object:
    try:
        send()
    except ClientError as error:
        return said(error)[:2]
    except BotoCoreError as error:
        return type(error)
    return "ok"


@pytest.mark.parametrize(
    ("kind", "status", "code", "text"),
    [
        ("throttle", 429, "TooManyRequestsException", "Maximum sending rate exceeded."),
        ("rate_exceeded", 429, "TooManyRequestsException", "Rate exceeded"),
        ("quota", 429, "TooManyRequestsException", "Daily message quota exceeded."),
        ("http_500", 500, "InternalFailure", None),
        ("http_503", 503, "ServiceUnavailable", "Service is temporarily unavailable."),
        ("paused", 400, "SendingPausedException", None),
        ("suspended", 400, "AccountSuspendedException", "Sending suspended for this account."),
        ("bad_credentials", 403, "UnrecognizedClientException", "The security token included"),
        ("expired_token", 403, "ExpiredTokenException", "The security token included"),
        ("bad_signature", 403, "SignatureDoesNotMatch", "The request signature we calculated"),
        ("access_denied", 403, "AccessDeniedException", "User `arn:aws:iam::111122223333:user/"),
        ("identity_not_verified", 400, "MessageRejected", "Email address is not verified."),
        ("mail_from_not_verified", 400, "MailFromDomainNotVerifiedException", "Custom MAIL FROM"),
        ("configuration_set_not_found", 404, "NotFoundException", "Configuration set "),
    ],
)
def test_an_error_is_told_in_the_words_of_ses_and_nothing_is_accepted(
    simulator: RunningSimulator, kind: str, status: int, code: str, text: str | None
) -> None:
    simulator.fault(kind, times=1)
    with pytest.raises(ClientError) as caught:
        simulator.send()
    told_status, told_code, told_text = said(caught.value)
    assert (told_status, told_code) == (status, code)
    assert told_text is None if text is None else (told_text or "").startswith(text)
    assert simulator.stats["accepted"] == 0
    simulator.send()


@pytest.mark.parametrize("kind", ["http_500_after", "http_503_after", "cut_after"])
def test_an_answer_lost_after_accepting_leaves_the_mail_accepted(
    simulator: RunningSimulator, kind: str
) -> None:
    simulator.fault(kind, times=1)
    with pytest.raises((ClientError, BotoCoreError)):
        simulator.send_bulk(people(7))
    assert simulator.stats["accepted"] == 7


def test_a_connection_cut_before_accepting_leaves_nothing(simulator: RunningSimulator) -> None:
    simulator.fault("cut_before", times=1)
    assert outcome(simulator.send) is ConnectionClosedError
    assert simulator.stats["accepted"] == 0
    (record,) = simulator.get("requests")["requests"]
    assert (record["status"], record["fault"]) == (0, "cut_before")


@pytest.mark.parametrize(("kind", "accepted"), [("hang_before", 0), ("hang_after", 1)])
def test_a_hang_is_silence_for_as_long_as_told(
    simulator: RunningSimulator, kind: str, accepted: int
) -> None:
    simulator.fault(kind, times=1, seconds=30)
    impatient = simulator.client(read_timeout=0.3)
    assert outcome(lambda: simulator.send(by=impatient)) is ReadTimeoutError
    assert simulator.stats["accepted"] == accepted


def test_a_hang_ends_with_a_cut_connection(simulator: RunningSimulator) -> None:
    simulator.fault("hang_after", times=1, seconds=0.3)
    started = time.monotonic()
    assert outcome(simulator.send) is ConnectionClosedError
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize(("kind", "accepted"), [("garbage_before", 0), ("garbage_after", 1)])
def test_garbage_with_a_200_has_no_message_id(
    simulator: RunningSimulator, kind: str, accepted: int
) -> None:
    """Botocore raises nothing here: it hands out an answer without its members."""
    simulator.fault(kind, times=1)
    with pytest.raises(KeyError, match="MessageId"):
        simulator.send()
    assert simulator.stats["accepted"] == accepted


def test_an_answer_may_have_fewer_results_than_the_call_had_entries(
    simulator: RunningSimulator,
) -> None:
    simulator.fault("fewer_results", times=1, missing=2)
    assert len(simulator.send_bulk(people(10))) == 8
    assert simulator.stats["accepted"] == 10


def test_single_entries_fail_with_any_status_and_text(simulator: RunningSimulator) -> None:
    simulator.fault("entry", address=r"user[13]@", status="FAILED", error="Something odd.")
    results = simulator.send_bulk(people(5))
    assert statuses(results) == ["SUCCESS", "FAILED", "SUCCESS", "FAILED", "SUCCESS"]
    assert results[1] == {"Status": "FAILED", "Error": "Something odd."}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("TRANSIENT_FAILURE", (500, "InternalServiceErrorException")),
        ("MESSAGE_REJECTED", (400, "MessageRejected")),
        ("INVALID_PARAMETER", (400, "BadRequestException")),
        ("ACCOUNT_THROTTLED", (429, "TooManyRequestsException")),
    ],
)
def test_an_entry_fault_strikes_send_email_as_the_matching_exception(
    simulator: RunningSimulator, status: str, expected: tuple[int, str]
) -> None:
    simulator.fault("entry", times=1, status=status)
    assert outcome(simulator.send) == expected


def test_a_fault_keeps_to_its_operation(simulator: RunningSimulator) -> None:
    simulator.fault("http_500", operation="SendBulkEmail")
    assert outcome(simulator.send) == "ok"
    assert outcome(lambda: simulator.send_bulk(people(1))) == (500, "InternalFailure")


def test_a_fault_strikes_after_some_calls_and_then_so_many(simulator: RunningSimulator) -> None:
    simulator.fault("http_503", skip=2, times=3)
    outcomes = [outcome(simulator.send) for _ in range(7)]
    struck = (503, "ServiceUnavailable")
    assert outcomes == ["ok", "ok", struck, struck, struck, "ok", "ok"]
    (fault,) = simulator.get("faults")["faults"]
    assert fault["struck"] == 3


def test_a_fault_waits_for_a_call_to_an_address_it_is_meant_for(
    simulator: RunningSimulator,
) -> None:
    simulator.fault("throttle", address=r"@trouble\.example$")
    assert outcome(simulator.send) == "ok"
    mixed = ["ana@example.org", "bo@trouble.example"]
    assert outcome(lambda: simulator.send_bulk(mixed)) == (429, "TooManyRequestsException")
    assert outcome(lambda: simulator.send(*mixed)) == (429, "TooManyRequestsException")


def test_a_fault_has_its_time(simulator: RunningSimulator) -> None:
    simulator.fault("http_500", from_seconds=0.8, until_seconds=2.0)
    assert outcome(simulator.send) == "ok"
    wait_until(lambda: outcome(simulator.send) != "ok", "the fault begins")
    wait_until(lambda: outcome(simulator.send) == "ok", "the fault ends")


def test_faults_by_chance_repeat_with_the_seed(
    start: Callable[..., RunningSimulator], tmp_path: Path
) -> None:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps([{"kind": "entry", "probability": 0.3}]), encoding="utf-8")

    def statuses_with(seed: str) -> list[str]:
        running = start("--seed", seed, "--faults", str(path))
        return statuses(running.send_bulk(people(50)))

    first = statuses_with("1")
    assert 3 < first.count("TRANSIENT_FAILURE") < 27
    assert first == statuses_with("1")
    assert first != statuses_with("2")


def test_faults_come_from_a_toml_file_and_a_reset_arms_them_again(
    start: Callable[..., RunningSimulator], tmp_path: Path
) -> None:
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "paused"\ntimes = 1\n', encoding="utf-8")
    running = start("--faults", str(path))
    paused = (400, "SendingPausedException")
    assert [outcome(running.send) for _ in range(2)] == [paused, "ok"]
    running.post("reset")
    assert [outcome(running.send) for _ in range(2)] == [paused, "ok"]


def test_clearing_ends_all_faults(simulator: RunningSimulator) -> None:
    simulator.post("faults", [{"kind": "paused"}, {"kind": "entry"}])
    assert simulator.post("faults", method="DELETE") == {"faults": []}
    assert statuses(simulator.send_bulk(people(1))) == ["SUCCESS"]


def test_credentials_fail_for_every_operation(simulator: RunningSimulator) -> None:
    simulator.fault("bad_credentials")
    denied = (403, "UnrecognizedClientException")
    assert outcome(simulator.ses.get_account) == denied
    assert outcome(simulator.ses.list_configuration_sets) == denied


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "earthquake"}, "kinds are: throttle"),
        ({"kind": "paused", "chance": 1}, "no fault member 'chance'"),
        ({"kind": "paused", "times": "two"}, "times must be int"),
        ({"kind": "paused", "address": "("}, "kinds are"),
        ("paused", "a JSON object is needed"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(
    simulator: RunningSimulator, fault: Any, reason: str
) -> None:
    assert reason in simulator.refused("faults", fault)
    assert simulator.get("faults") == {"faults": []}
