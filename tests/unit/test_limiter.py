"""The limiter over a fake purse: when it waits with a batch in hand, and when it lets it go."""

import pytest

from postroom.errors import BudgetExhaustedError
from postroom.model import AccountName, CampaignId, Lane
from postroom.store.budget import Ask, Grant, Wait, Why
from worker.account.limiter import Limiter

ASK = Ask(
    waiter="me",
    wanted=1,
    lane=Lane.BULK,
    bulk_request=False,
    campaign_id=CampaignId("c1"),
    weight=1.0,
)


class ScriptedTokens:
    def __init__(self, *answers: Grant | Wait) -> None:
        self.answers = list(answers)
        self.withdrawn: list[str] = []

    def take(self, account: AccountName, ask: Ask, *, max_wait_seconds: float) -> Grant | Wait:
        return self.answers.pop(0)

    def withdraw(self, account: AccountName, waiter: str) -> None:
        self.withdrawn.append(waiter)


def take(*answers: Grant | Wait, slept: list[float]) -> Grant:
    limiter = Limiter(
        token_source=ScriptedTokens(*answers),
        sleep=slept.append,
        stopping=lambda: False,
        max_wait_seconds=5.0,
    )
    return limiter.take(AccountName("main"), ASK)


def wait(why: Why, seconds: float) -> Wait:
    return Wait(why=why, seconds=seconds, detail="", holds=1)


def test_a_short_wait_for_the_rate_is_sat_out() -> None:
    slept: list[float] = []
    grant = Grant(recipients=1, stamp="1", holds=1, drawn=1)
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


class TestLeavingTheLine:
    """Whoever stands in the line is reckoned with by all behind: nobody stays there for nothing."""

    def limiter(self, token_source: ScriptedTokens, *stops: bool) -> Limiter:
        stopping = iter(stops)
        return Limiter(
            token_source=token_source,
            sleep=lambda _: None,
            stopping=lambda: next(stopping, False),
            max_wait_seconds=5.0,
        )

    def test_when_the_process_stops(self) -> None:
        token_source = ScriptedTokens(wait(Why.RATE, 0.5))
        with pytest.raises(BudgetExhaustedError, match="stopping"):
            self.limiter(token_source, False, True).take(AccountName("main"), ASK)
        assert token_source.withdrawn == [ASK.waiter]

    def test_when_others_overtook_for_too_long(self) -> None:
        token_source = ScriptedTokens(*[wait(Why.RATE, 4.0)] * 3)
        with pytest.raises(BudgetExhaustedError, match="send rate"):
            self.limiter(token_source).take(AccountName("main"), ASK)
        assert token_source.withdrawn == [ASK.waiter]

    def test_not_with_a_grant(self) -> None:
        token_source = ScriptedTokens(
            wait(Why.RATE, 0.5), Grant(recipients=1, stamp="1", holds=1, drawn=1)
        )
        self.limiter(token_source).take(AccountName("main"), ASK)
        assert token_source.withdrawn == []
