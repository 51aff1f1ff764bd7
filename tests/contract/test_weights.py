"""Weights at their edges: turns stay turns, and what no turn can be reckoned with is refused."""

import math
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import redis

from postroom.model import AccountName, BatchRef, CampaignId, Lane
from postroom.settings import Settings
from postroom.store.budget import Allowance, Ask, Budget, Grant
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch, Route

ACCOUNT = AccountName("main")
EDGES = (0.01, 1.0, 999.999_999, 1000.0)
IMPOSSIBLE = (0.0, -1.0, math.inf, -math.inf, math.nan, 1e-7)


def wish(waiter: str, campaign: str, weight: float = 1.0, **more: Any) -> Ask:
    usual: dict[str, Any] = {"wanted": 10, "lane": Lane.BULK, "bulk_request": False}
    return Ask(waiter=waiter, campaign_id=CampaignId(campaign), weight=weight, **{**usual, **more})


def route(campaign: str, weight: float, *, batch_size: int = 500) -> Route:
    return Route(
        campaign_id=CampaignId(campaign),
        account=ACCOUNT,
        lane=Lane.BULK,
        weight=weight,
        batch_size=batch_size,
    )


@pytest.fixture
def budget(store: Store) -> Budget:
    made = Budget(store)
    allowance = Allowance(
        rate=500.0,
        quota=-1.0,
        sent=-1.0,
        window_seconds=86_400.0,
        cells=288,
        burst_seconds=0.1,
        increase_per_second=0.05,
        requests_per_second=0.0,
        refresh_seconds=30.0,
    )
    made.observe(ACCOUNT, allowance)
    return made


@pytest.fixture
def dispatch(store: Store, settings: Settings) -> Dispatch:
    made = Dispatch(store, settings)
    made.announce("worker", {Lane.BULK: 1, Lane.TRANSACTIONAL: 1})
    return made


def served_in(budget: Budget, *, seconds: float) -> Counter[str]:
    """Eight waiters of one campaign against one of another, all coming back all the time."""
    waiting = {f"many {number}": "many" for number in range(8)} | {"one": "one"}
    served: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for waiter, campaign in waiting.items():
            answer = budget.take(ACCOUNT, wish(waiter, campaign), max_wait_seconds=5.0)
            served[campaign] += answer.recipients if isinstance(answer, Grant) else 0
    return served


def turn_of(store: Store, campaign: str) -> float:
    """Where it stands in the line, which says the same as its clock."""
    clock = store.client.hget(store.keys.dispatch("clocks"), campaign) or b""
    member = f"{ACCOUNT}|bulk|{clock.decode()}|{campaign}"
    assert store.client.zscore(store.keys.dispatch("line"), member) == 0
    return float(clock)


@pytest.mark.parametrize("weight", EDGES)
def test_eight_waiters_get_no_more_than_one_after_a_campaign_of_any_weight(
    budget: Budget, store: Store, weight: float
) -> None:
    store.client.hset(store.keys.account(ACCOUNT).budget, "tokens", 50)
    assert isinstance(budget.take(ACCOUNT, wish("edge", "edge", weight), max_wait_seconds=5), Grant)
    served = served_in(budget, seconds=0.8)
    # Without fairness it is eight to one.
    assert 1 / 3 < served["many"] / served["one"] < 3


@pytest.mark.parametrize("weight", IMPOSSIBLE)
def test_a_weight_that_ends_fairness_for_all_is_refused(
    budget: Budget, store: Store, weight: float
) -> None:
    key = store.keys.account(ACCOUNT)
    store.client.hset(key.budget, "tokens", 50)
    with pytest.raises(redis.ResponseError, match="no weight to reckon with"):
        budget.take(ACCOUNT, wish("edge", "edge", weight), max_wait_seconds=5)
    assert store.client.hget(key.budget, "served_now") is None
    assert store.client.zcard(key.line) == 0


@pytest.mark.parametrize("weight", EDGES)
def test_a_batch_is_charged_for_its_weight_and_given_back_whole(
    dispatch: Dispatch, store: Store, weight: float
) -> None:
    one = route("edge", weight, batch_size=200)
    dispatch.wake(one)
    assert dispatch.route(one.campaign_id) == replace(one, weight=round(weight, 6))
    (turn,) = dispatch.pick()
    assert turn_of(store, "edge") == pytest.approx(200 / weight, rel=1e-6)
    store.client.zadd(store.keys.dispatch("out:bulk"), {one.member(0): store.seconds() + 60})
    dispatch.ended(one, BatchRef(campaign_id=one.campaign_id, number=0), sent=50)
    assert turn_of(store, "edge") == pytest.approx(50 / weight, rel=1e-6)
    assert turn.campaign_id == "edge"


@pytest.mark.parametrize("weight", IMPOSSIBLE)
def test_a_campaign_of_no_weight_gets_no_turn(
    dispatch: Dispatch, store: Store, weight: float
) -> None:
    with pytest.raises(redis.ResponseError, match="no weight to reckon with"):
        dispatch.wake(route("edge", weight))
    assert dispatch.waiting(ACCOUNT, Lane.BULK) == 0
