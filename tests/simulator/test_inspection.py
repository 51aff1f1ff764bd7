"""The inspection API: figures a test can rely on."""

import json
import time
from typing import Any

import pytest

from tests.simulator.running import RunningSimulator, people

TAGS = [{"Name": "campaign", "Value": "c42"}]


def test_a_duplicate_is_an_address_accepted_twice_in_one_campaign(
    simulator: RunningSimulator,
) -> None:
    simulator.send_bulk(people(5), DefaultEmailTags=TAGS)
    simulator.send_bulk(people(2), DefaultEmailTags=TAGS)
    simulator.send_bulk(people(1), DefaultEmailTags=TAGS)
    simulator.send_bulk(people(5), DefaultEmailTags=[{"Name": "campaign", "Value": "other"}])
    stats = simulator.stats
    assert stats["duplicates"] == {"recipients": 2, "extra": 3}
    assert (stats["accepted"], stats["distinct_accepted"]) == (13, 10)
    assert stats["accepted_per_campaign"] == {"c42": 8, "other": 5}


def accepted(simulator: RunningSimulator, query: str = "") -> list[Any]:
    return [json.loads(line) for line in simulator.text(f"/_simulator/accepted{query}").split()]


def test_everybody_accepted_is_listed_with_how_often(simulator: RunningSimulator) -> None:
    simulator.send_bulk(people(3), DefaultEmailTags=TAGS)
    simulator.send("User1 <user1@example.org>", EmailTags=TAGS)
    simulator.send("eve@example.org")
    listed = {one["address"]: one["count"] for one in accepted(simulator, "?campaign=c42")}
    assert listed == {"user0@example.org": 1, "user1@example.org": 2, "user2@example.org": 1}
    assert {one["campaign"] for one in accepted(simulator)} == {"c42", ""}


def test_calls_and_accepted_are_told_by_operation(simulator: RunningSimulator) -> None:
    simulator.send()
    simulator.send_bulk(people(10))
    stats = simulator.stats
    assert stats["calls"] == {"SendEmail": 1, "SendBulkEmail": 1}
    assert stats["accepted_per_operation"] == {"SendEmail": 1, "SendBulkEmail": 10}


def test_times_and_the_series_add_up_to_what_was_accepted(simulator: RunningSimulator) -> None:
    before = time.time()
    simulator.send_bulk(people(30))
    simulator.send_bulk(people(20))
    stats = simulator.stats
    assert sum(count for _, count in stats["accepted_per_second"]) == 50
    assert before <= stats["first_accepted_at"] <= stats["last_accepted_at"] <= time.time()
    assert stats["busiest_second"] == 50


def test_mails_are_found_by_address_and_campaign_newest_first(
    simulator: RunningSimulator,
) -> None:
    simulator.send_bulk(people(5), DefaultEmailTags=TAGS)
    simulator.send("user3@example.org", subject="Later")
    mails = simulator.get("mails?address=user3")["mails"]
    assert [mail["subject"] for mail in mails] == ["Later", "Hi friend"]
    assert len(simulator.get("mails?campaign=c42&limit=4")["mails"]) == 4


def test_requests_are_logged_with_their_end(simulator: RunningSimulator) -> None:
    simulator.send_bulk([*people(2), "nobody"])
    simulator.fault("http_503", times=1)
    with pytest.raises(simulator.ses.exceptions.ClientError):
        simulator.send()
    failed, passed = simulator.get("requests")["requests"]
    assert (failed["operation"], failed["status"]) == ("SendEmail", 503)
    assert (failed["error"], failed["fault"]) == ("ServiceUnavailable", "http_503")
    assert (passed["status"], passed["entries"], passed["accepted"]) == (200, 3, 2)


def test_settings_change_while_running(simulator: RunningSimulator) -> None:
    simulator.settings(rate=14, quota=200, latency_ms=1.5, enforcement_status="PROBATION")
    settings = simulator.get("settings")
    assert (settings["rate"], settings["quota"], settings["latency_ms"]) == (14, 200, 1.5)
    assert simulator.ses.get_account()["EnforcementStatus"] == "PROBATION"


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"speed": 3}, "no setting named 'speed'"),
        ({"rate": "fast"}, "rate must be float"),
        ({"rate": -1}, "rate must not be negative"),
        ({"quota_window": 0}, "quota_window must be above 0"),
        ({"sending_enabled": 1}, "sending_enabled must be bool"),
        ({"verified": "example.com"}, "verified must be a list of texts"),
        ({"seed": 4}, "seed is fixed when the simulator starts"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_and_changes_nothing(
    simulator: RunningSimulator, setting: object, reason: str
) -> None:
    before = simulator.get("settings")
    assert reason in simulator.refused("settings", setting)
    assert simulator.get("settings") == before


def test_a_reset_forgets_everything(simulator: RunningSimulator) -> None:
    simulator.settings(rate=1)
    simulator.fault("entry")
    simulator.ses.put_suppressed_destination(EmailAddress="gone@example.org", Reason="BOUNCE")
    simulator.send_bulk(people(3))
    simulator.post("reset")
    stats = simulator.stats
    assert (stats["accepted"], stats["calls"], stats["refused"]) == (0, {}, {})
    assert simulator.get("settings")["rate"] == 0
    assert simulator.get("faults") == {"faults": []}
    assert simulator.get("mails") == {"mails": []}


def test_the_page_loads_nothing_from_elsewhere(simulator: RunningSimulator) -> None:
    page = simulator.text("/")
    assert "<title>SES simulator</title>" in page
    assert 'sandbox=""' in page
    assert "https://" not in page
