from dataclasses import replace

from postroom.model import CampaignId, State, Status, Totals
from postroom.views.pace import over

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


def test_over_is_when_nothing_more_happens_by_itself() -> None:
    assert not over(GOING)
    assert over(replace(GOING, state=State.HALTED))
    assert not over(replace(GOING, state=State.PAUSED))
    assert not over(replace(GOING, state=State.CANCELLED))
    assert over(replace(GOING, state=State.CANCELLED, totals=Totals(total=1, cancelled=1)))
