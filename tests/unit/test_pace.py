from dataclasses import replace

from postroom.model import CampaignId, State, Status, Totals
from postroom.pace import over, paced

GOING = Status(
    id=CampaignId("c1"),
    name="spring",
    state=State.SENDING,
    reason="",
    totals=Totals(total=100, pending=100),
    achieved_rate=1.0,
    allowed_rate=14.0,
    eta_seconds=100.0,
    started_at=0.0,
    finished_at=None,
)


def after(accepted: int) -> Status:
    totals = Totals(total=100, pending=100 - accepted, accepted=accepted)
    return replace(GOING, totals=totals, eta_seconds=100.0 - accepted)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    moments = iter([0.0, 1.0, 6.0, 7.0])
    shown = list(paced(map(after, [0, 40, 40, 50]), lambda: next(moments)))
    assert [status.achieved_rate for status in shown] == [1.0, 40.0, 0.0, 10 / 6]
    assert shown[3].eta_seconds == 50 / (10 / 6)


def test_a_wait_for_the_quota_stays_in_the_estimate() -> None:
    moments = iter([0.0, 1.0])
    waits = [replace(after(done), eta_seconds=100.0 - done + 3_600) for done in (0, 40)]
    assert list(paced(waits, lambda: next(moments)))[1].eta_seconds == 60 / 40 + 3_600


def test_a_finished_campaign_shows_the_rate_of_the_whole() -> None:
    moments = iter([0.0, 1.0])
    end = replace(after(100), state=State.FINISHED, finished_at=5.0, achieved_rate=20.0)
    assert list(paced([after(0), end], lambda: next(moments)))[1] == end


def test_over_is_when_nothing_more_happens_by_itself() -> None:
    assert not over(GOING)
    assert over(replace(GOING, state=State.HALTED))
    assert not over(replace(GOING, state=State.PAUSED))
    assert not over(replace(GOING, state=State.CANCELLED))
    assert over(replace(GOING, state=State.CANCELLED, totals=Totals(total=1, cancelled=1)))
