"""Rate, rolling quota, request rates, latency."""

import time
from collections.abc import Callable
from random import Random
from statistics import mean, stdev

import pytest
from botocore.exceptions import ClientError

from simulator.latency import Latency
from simulator.settings import Settings
from tests.simulator.running import RunningSimulator, people, said, statuses
from tests.support.waiting import wait_until

RATE = (429, "TooManyRequestsException", "Maximum sending rate exceeded.")
QUOTA = (429, "TooManyRequestsException", "Daily message quota exceeded.")
API_RATE = (429, "TooManyRequestsException", "Rate exceeded")


def answer(send: Callable[[], object]) -> tuple[int, str, str | None] | None:
    """What a refused call says; None for one that passes."""
    try:
        send()
    except ClientError as error:
        return said(error)
    return None


def test_a_message_to_five_at_a_rate_of_one_passes_and_puts_the_account_in_debt(
    simulator: RunningSimulator,
) -> None:
    simulator.settings(rate=1)
    simulator.send(*people(5))
    assert answer(simulator.send) == RATE
    assert simulator.stats["throttled"] == 1


def test_a_bulk_call_above_the_rate_is_accepted_in_part(simulator: RunningSimulator) -> None:
    simulator.settings(rate=20)
    results = simulator.send_bulk(people(50))
    assert statuses(results) == ["SUCCESS"] * 20 + ["ACCOUNT_THROTTLED"] * 30
    assert results[-1]["Error"] == "Maximum sending rate exceeded."
    assert "MessageId" not in results[-1]


def test_the_bucket_holds_as_many_seconds_of_rate_as_told(simulator: RunningSimulator) -> None:
    simulator.settings(rate=20, burst_seconds=0.25)
    assert statuses(simulator.send_bulk(people(50))).count("SUCCESS") == 5


def test_over_time_the_accepted_rate_is_the_set_rate(simulator: RunningSimulator) -> None:
    simulator.settings(rate=200, burst_seconds=0.5)
    started, taken = time.monotonic(), 0
    while time.monotonic() - started < 1.5:
        taken += statuses(simulator.send_bulk(people(20))).count("SUCCESS")
    elapsed = time.monotonic() - started
    assert taken <= 100 + 200 * elapsed + 1
    assert simulator.stats["busiest_second"] <= 100 + 200 + 1
    time.sleep(0.25)  # noqa: TID251 - fifty more are due then, and nothing took them
    assert statuses(simulator.send_bulk(people(50))).count("SUCCESS") == 50


def test_without_a_rate_nothing_is_throttled(simulator: RunningSimulator) -> None:
    for _ in range(5):
        assert set(statuses(simulator.send_bulk(people(50)))) == {"SUCCESS"}
    assert simulator.ses.get_account()["SendQuota"]["MaxSendRate"] == 1_000_000


def test_the_quota_refuses_what_is_over_it(simulator: RunningSimulator) -> None:
    simulator.settings(quota=60)
    simulator.send_bulk(people(50))
    results = simulator.send_bulk(people(20))
    assert statuses(results) == ["SUCCESS"] * 10 + ["ACCOUNT_DAILY_QUOTA_EXCEEDED"] * 10
    assert results[-1]["Error"] == "Daily message quota exceeded."
    assert answer(simulator.send) == QUOTA
    assert simulator.stats["refused"] == {"ACCOUNT_DAILY_QUOTA_EXCEEDED": 11}


def test_the_quota_can_be_refused_as_limit_exceeded(simulator: RunningSimulator) -> None:
    simulator.settings(quota=0, quota_as_limit_exceeded=True)
    assert answer(simulator.send) == (400, "LimitExceededException", QUOTA[2])


def test_the_quota_window_rolls_and_frees_what_is_old(simulator: RunningSimulator) -> None:
    simulator.settings(quota=3, quota_window=2.0)
    simulator.send(*people(3))
    assert answer(simulator.send) == QUOTA
    wait_until(lambda: answer(simulator.send) is None, "the quota is free again")
    stats = simulator.stats
    assert (stats["accepted"], stats["max_in_window"]) == (4, 3)


def test_get_account_tells_quota_rate_and_what_was_sent(simulator: RunningSimulator) -> None:
    simulator.settings(quota=5000, rate=14)
    simulator.send(*people(3))
    assert simulator.ses.get_account()["SendQuota"] == {
        "Max24HourSend": 5000.0,
        "MaxSendRate": 14.0,
        "SentLast24Hours": 3.0,
    }


def test_no_quota_is_told_as_minus_one(simulator: RunningSimulator) -> None:
    assert simulator.ses.get_account()["SendQuota"]["Max24HourSend"] == -1


@pytest.mark.parametrize("mailbox", ["success", "bounce", "ooto", "complaint", "suppressionlist"])
def test_mailbox_simulator_addresses_cost_rate_but_no_quota(
    simulator: RunningSimulator, mailbox: str
) -> None:
    simulator.settings(quota=10, rate=3)
    to = [f"{mailbox}+{number}@simulator.amazonses.com" for number in range(4)]
    assert statuses(simulator.send_bulk(to))[2:] == ["SUCCESS", "ACCOUNT_THROTTLED"]
    stats = simulator.stats
    assert (stats["accepted"], stats["sent_last_window"]) == (3, 0)


def test_of_a_mixed_message_only_real_recipients_weigh_on_the_quota(
    simulator: RunningSimulator,
) -> None:
    simulator.send("ana@example.org", "bounce@simulator.amazonses.com")
    stats = simulator.stats
    assert (stats["accepted"], stats["sent_last_window"], stats["max_in_window"]) == (2, 1, 1)


def test_bulk_calls_can_be_limited_by_themselves(simulator: RunningSimulator) -> None:
    simulator.settings(bulk_requests_per_second=1)
    answers = [answer(lambda: simulator.send_bulk(people(5))) for _ in range(4)]
    assert answers[0] is None
    assert answers[-1] == API_RATE
    assert simulator.stats["errors"]["TooManyRequestsException"] >= 2
    simulator.send()


def test_get_account_more_often_than_once_a_second_is_refused(
    simulator: RunningSimulator,
) -> None:
    answers = [answer(simulator.ses.get_account) for _ in range(5)]
    assert (answers[0], answers[-1]) == (None, API_RATE)
    assert simulator.stats["calls"]["GetAccount"] == 5
    wait_until(lambda: answer(simulator.ses.get_account) is None, "it is let in")


def test_other_management_calls_are_limited_only_when_asked(simulator: RunningSimulator) -> None:
    lists = simulator.ses.list_email_identities
    assert [answer(lists) for _ in range(5)] == [None] * 5
    simulator.settings(limit_all_management=True)
    assert [answer(lists) for _ in range(5)][-1] == API_RATE


def test_a_call_takes_the_latency_and_is_accepted_half_way(simulator: RunningSimulator) -> None:
    simulator.settings(latency_ms=200)
    before = time.time()
    simulator.send()
    after = time.time()
    accepted = simulator.stats["last_accepted_at"]
    assert after - before >= 0.2
    assert before + 0.1 <= accepted <= after - 0.095


def test_latency_spreads_around_its_mean() -> None:
    latency = Latency(Settings(latency_ms=20, latency_jitter_ms=8), Random(6))
    took = [1000 * latency.seconds() for _ in range(1000)]
    assert mean(took) == pytest.approx(20, abs=1)
    assert stdev(took) == pytest.approx(8, abs=1)
    assert min(took) > 0


def test_each_access_key_and_region_may_have_an_account_of_its_own(
    simulator: RunningSimulator,
) -> None:
    simulator.settings(account_per_key=True, rate=1, management_rate=1)
    others = [simulator.client(access_key="AKIAOTHER"), simulator.client(region="eu-west-3")]
    for one in (simulator.ses, *others):
        simulator.send(*people(5), by=one)
        assert answer(lambda one=one: simulator.send(by=one)) == RATE
        assert one.get_account()["SendQuota"]["SentLast24Hours"] == 5
        assert API_RATE in [answer(one.get_account) for _ in range(3)]
    simulator.settings(rate=0, management_rate=0)
    for one in (simulator.ses, *others):
        simulator.send(by=one)
        assert one.get_account()["SendQuota"]["SentLast24Hours"] == 6
