"""What a worker that died had been granted comes back, and never more than that."""

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from postroom.model import AccountName, CampaignId, Lane
from postroom.store.budget import Allowance, Ask, Budget, Grant, Wait, Why
from postroom.store.connection import Store
from tests.support.waiting import wait_until

ACCOUNT = AccountName("main")
GRANT_SECONDS = 0.15
WINDOW_SECONDS = 60.0
CELLS = 1200
"""Slices of 50 ms."""

Take = Callable[..., Grant]


@pytest.fixture
def budget(store: Store) -> Budget:
    made = Budget(store)
    tell(made)
    return made


@pytest.fixture
def take(budget: Budget, store: Store) -> Take:
    def taking(wanted: int, waiter: str = "me") -> Grant:
        answer = ask(budget, store, wanted, waiter)
        assert isinstance(answer, Grant), answer
        return answer

    return taking


def tell(budget: Budget, *, counted: float = -1.0, **more: Any) -> bool:
    """SES says how many it counts in its window."""
    usual: dict[str, Any] = {
        "rate": 1e6,
        "quota": 1_000.0,
        "sent": counted,
        "counted": counted,
        "window_seconds": WINDOW_SECONDS,
        "cells": CELLS,
        "burst_seconds": 0.25,
        "increase_per_second": 0.05,
        "requests_per_second": 0.0,
        "refresh_seconds": 30.0,
        "grant_seconds": GRANT_SECONDS,
    }
    return budget.observe(ACCOUNT, Allowance(**{**usual, **more}))


def ask(budget: Budget, store: Store, wanted: int, waiter: str = "me") -> Grant | Wait:
    store.client.hset(store.keys.account(ACCOUNT).budget, "tokens", 1e6)
    wish = Ask(
        waiter=waiter,
        wanted=wanted,
        lane=Lane.BULK,
        bulk_request=False,
        campaign_id=CampaignId("c1"),
        weight=1.0,
    )
    return budget.take(ACCOUNT, wish, max_wait_seconds=5.0)


def used(budget: Budget) -> int:
    return budget.status(ACCOUNT).used


def outstanding(store: Store) -> dict[bytes, bytes]:
    return dict(store.client.hgetall(store.keys.account(ACCOUNT).grants))


def lapse() -> None:
    time.sleep(GRANT_SECONDS + 2 * WINDOW_SECONDS / CELLS)  # noqa: TID251 - Redis' own clock


def test_a_grant_is_outstanding_until_it_is_settled(
    budget: Budget, take: Take, store: Store
) -> None:
    grant = take(30)
    assert list(outstanding(store).values()) == [b"30"]
    budget.settle(ACCOUNT, grant, counted=28, unsent=2)
    assert (outstanding(store), used(budget)) == ({}, 28)


def test_what_the_dead_never_sent_comes_back(budget: Budget, take: Take, store: Store) -> None:
    budget.settle(ACCOUNT, take(100, "alive"), counted=100, unsent=0)
    take(50, "dead")
    take(40, "dead too")
    lapse()
    assert tell(budget, counted=100.0)
    assert (used(budget), outstanding(store)) == (100, {})
    assert budget.status(ACCOUNT).foreign == 0


def test_what_ses_counted_of_it_does_not(budget: Budget, take: Take, store: Store) -> None:
    take(50, "dead")
    lapse()
    assert tell(budget, counted=30.0)
    assert used(budget) == 30
    assert not tell(budget, counted=30.0)
    assert used(budget) == 30


def test_what_ses_counted_wholly_stays(budget: Budget, take: Take) -> None:
    take(50, "dead")
    lapse()
    tell(budget, counted=50.0)
    assert used(budget) == 50


def test_never_while_nobody_knows_what_ses_counts(budget: Budget, take: Take, store: Store) -> None:
    take(50, "dead")
    lapse()
    tell(budget, counted=-1.0)
    assert (used(budget), len(outstanding(store))) == (50, 1)


def test_never_of_one_that_may_still_be_in_use(budget: Budget, take: Take) -> None:
    take(50, "slow")
    tell(budget, counted=0.0)
    assert used(budget) == 50


def test_never_more_than_was_outstanding(budget: Budget, take: Take) -> None:
    """SES may count late, or never, what it was handed: that is no reason to send more."""
    budget.settle(ACCOUNT, take(500), counted=500, unsent=0)
    take(20, "dead")
    lapse()
    tell(budget, counted=100.0)
    assert used(budget) == 500


def test_others_on_the_account_keep_what_they_sent(budget: Budget, take: Take) -> None:
    take(50, "dead")
    lapse()
    tell(budget, counted=700.0, sent=700.0)
    assert used(budget) + budget.status(ACCOUNT).foreign == 700


def test_our_share_does_not_hide_what_was_counted(budget: Budget, take: Take) -> None:
    """What others may send is taken off `sent`; compared is what SES counts of all."""
    take(50, "dead")
    lapse()
    tell(budget, counted=50.0, sent=0.0)
    assert used(budget) == 50


def test_a_dead_one_that_comes_back_is_counted_once_more(
    budget: Budget, take: Take, store: Store
) -> None:
    grant = take(50, "frozen")
    lapse()
    tell(budget, counted=0.0)
    assert used(budget) == 0
    budget.settle(ACCOUNT, grant, counted=50, unsent=0)
    assert used(budget) == 50
    assert sum(map(int, store.client.hvals(store.keys.account(ACCOUNT).window))) == 50


def test_a_second_settle_gives_nothing_back(budget: Budget, take: Take, store: Store) -> None:
    other = take(40, "other")
    grant = take(50)
    for _ in range(3):
        budget.settle(ACCOUNT, grant, counted=0, unsent=50)
    assert used(budget) == 40
    budget.settle(ACCOUNT, other, counted=40, unsent=0)
    assert used(budget) == 40


def test_a_spent_quota_is_free_again_soon_after_a_kill(
    budget: Budget, take: Take, store: Store
) -> None:
    """Not a window later: the wait was a day at SES."""
    budget.settle(ACCOUNT, take(700), counted=700, unsent=0)
    take(300, "killed")
    refused = ask(budget, store, 1)
    assert isinstance(refused, Wait)
    assert refused.why is Why.QUOTA

    def freed() -> bool:
        tell(budget, counted=700.0)
        return isinstance(ask(budget, store, 1), Grant)

    wait_until(freed, "the killed one's grant is free", seconds=10)


def test_records_of_the_dead_go_with_their_slices(budget: Budget, take: Take, store: Store) -> None:
    tell(budget, window_seconds=0.5, cells=10)
    take(50, "dead")

    def gone() -> bool:
        tell(budget, window_seconds=0.5, cells=10)
        return not outstanding(store)

    wait_until(gone, "the record has left with the window", seconds=10)


@pytest.mark.parametrize("seed", range(4))
def test_with_workers_that_die_no_window_holds_more_than_the_quota(store: Store, seed: int) -> None:
    """SES counts what reaches it; of those who die some called before and some did not."""
    chance, quota, window = random.Random(seed), 60, 1.2
    budget, ses = Budget(store), []
    shape = {"quota": float(quota), "window_seconds": window, "cells": 40}
    tell(budget, counted=0.0, **shape)
    until, killed = time.monotonic() + 4.0, 0

    def counted() -> float:
        return float(sum(count for at, count in ses if at > time.monotonic() - window))

    while time.monotonic() < until:
        tell(budget, counted=counted(), **shape)
        answer = ask(budget, store, chance.randint(1, 9), f"w{chance.randint(0, 9)}")
        if isinstance(answer, Wait):
            time.sleep(0.01)  # noqa: TID251 - nobody asks faster
            continue
        dies = chance.random() < 0.3
        if not dies or chance.random() < 0.5:
            ses.append((time.monotonic(), answer.recipients))
            assert counted() <= quota
        if dies:
            killed += 1
        else:
            budget.settle(ACCOUNT, answer, counted=answer.recipients, unsent=0)
    assert killed > 5
    assert sum(count for _, count in ses) > quota
