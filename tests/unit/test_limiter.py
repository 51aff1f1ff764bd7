"""The limiter over a fake purse: when it waits with a batch in hand, and when it lets it go."""

import pytest

from postroom.errors import BudgetExhaustedError
from postroom.model import AccountName, CampaignId, Lane
from postroom.store.budget import Ask, Grant, Wait, Why
from worker.limiter import Limiter

ASK = Ask(
    waiter="me",
    wanted=1,
    lane=Lane.BULK,
    bulk_request=False,
    campaign_id=CampaignId("c1"),
    weight=1.0,
)


class Purse:
    def __init__(self, *answers: Grant | Wait) -> None:
        self.answers = list(answers)

    def take(self, account: AccountName, ask: Ask, *, max_wait_seconds: float) -> Grant | Wait:
        return self.answers.pop(0)


def take(*answers: Grant | Wait, slept: list[float]) -> Grant:
    limiter = Limiter(
        purse=Purse(*answers),
        sleep=slept.append,
        stopping=lambda: False,
        max_wait_seconds=5.0,
    )
    return limiter.take(AccountName("main"), ASK)


def wait(why: Why, seconds: float) -> Wait:
    return Wait(why=why, seconds=seconds, detail="", holds=1)


def test_a_short_wait_for_the_rate_is_sat_out() -> None:
    slept: list[float] = []
    grant = Grant(recipients=1, stamp="1", holds=1)
    assert take(wait(Why.RATE, 0.5), grant, slept=slept) == grant
    assert slept == [0.5]


@pytest.mark.parametrize(("why", "seconds"), [(Why.UNKNOWN, 1.0), (Why.RATE, 6.0)])
def test_a_long_or_unknown_wait_is_not_sat_out_with_a_batch_in_hand(
    why: Why, seconds: float
) -> None:
    slept: list[float] = []
    with pytest.raises(BudgetExhaustedError) as raised:
        take(wait(why, seconds), slept=slept)
    assert (raised.value.seconds, slept) == (seconds, [])
