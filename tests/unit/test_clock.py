"""Durations go by clocks that nobody sets; a date only says when."""

import pytest

from postroom import clock, settings
from postroom.errors import BadInputError
from tests.test_house_rules import modules


@pytest.mark.parametrize("tells", [clock.monotonic, clock.boottime])
def test_a_clock_for_durations_never_goes_back(tells: clock.Clock) -> None:
    looks = [tells() for _ in range(1000)]
    assert looks == sorted(looks)
    assert abs(looks[-1] - clock.now()) > 1e6  # It is no date.


def test_a_worker_measures_nothing_by_the_date() -> None:
    sources = [one.path for name, one in modules().items() if name.startswith("worker")]
    assert not [path for path in sources if "clock.now" in path.read_text(encoding="utf-8")]


class TestLease:
    @pytest.mark.parametrize(
        "changed",
        [
            {"POSTROOM_WORKER__LEASE_SECONDS": "27.9"},
            {"POSTROOM_SES__READ_TIMEOUT_SECONDS": "22.1"},
            {"POSTROOM_SES__CONNECT_TIMEOUT_SECONDS": "4.1"},
        ],
    )
    def test_shorter_than_the_longest_call_is_refused_in_words(
        self, changed: dict[str, str]
    ) -> None:
        said = r"worker\.lease_seconds .*must be at least [\d.]+ s"
        with pytest.raises(BadInputError, match=said):
            settings.load(changed)

    def test_that_is_just_long_enough_leaves_a_call_a_second(self) -> None:
        least = settings.load({"POSTROOM_WORKER__LEASE_SECONDS": "28"})
        assert least.call_age_seconds == pytest.approx(1.0)

    def test_outlasts_the_longest_call_that_may_leave(self) -> None:
        one = settings.load({})
        longest = 2 * one.ses.connect_timeout_seconds + one.ses.read_timeout_seconds
        assert one.call_age_seconds + longest < one.worker.lease_seconds
