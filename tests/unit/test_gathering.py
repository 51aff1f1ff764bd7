"""Callers who append at the same time go together; each gets his own answers."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from postroom.ids import CampaignId
from postroom.messages.gathering import MOST, FollowUp, Gathering
from postroom.store.streams import Appended
from tests.support.waiting import wait_until


class Door:
    """Appends when it is let; a message is any object here."""

    def __init__(self) -> None:
        self.calls: list[list[Any]] = []
        self.let = threading.Event()
        self.error: Exception | None = None
        self.followed = 0

    def append(self, _: Any, messages: Sequence[Any]) -> tuple[list[Appended], FollowUp]:
        self.calls.append(list(messages))
        assert self.let.wait(10)
        if self.error:
            raise self.error
        return [Appended(id=CampaignId(str(one)), created=True) for one in messages], self.follow

    def follow(self) -> None:
        self.followed += 1


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def gathering(door: Door) -> Gathering:
    return Gathering("stream", door.append)  # type: ignore[arg-type]


def come(gathering: Gathering, messages: list[int], into: dict[int, Any]) -> threading.Thread:
    def work() -> None:
        try:
            into[messages[0]] = [one.id for one in gathering.append(messages)]  # type: ignore[arg-type]
        except OSError as error:
            into[messages[0]] = error

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_whoever_comes_while_one_is_on_the_way_goes_along_with_the_next(
    door: Door, gathering: Gathering
) -> None:
    answers: dict[int, Any] = {}
    threads = [come(gathering, [1], answers)]
    wait_until(lambda: len(door.calls) == 1, "the first is on the way")
    threads += [come(gathering, [number, number + 100], answers) for number in range(2, 9)]
    wait_until(lambda: len(gathering._waiting) == 7, "seven wait")
    door.let.set()
    for thread in threads:
        thread.join(10)
    assert [len(call) for call in door.calls] == [1, 14]
    assert answers == {1: ["1"]} | {n: [str(n), str(n + 100)] for n in range(2, 9)}
    wait_until(lambda: door.followed == 2, "each call has what follows it")


def test_a_fault_is_told_to_everybody_who_went_along_and_hinders_nobody_after(
    door: Door, gathering: Gathering
) -> None:
    answers: dict[int, Any] = {}
    door.error = OSError("away")
    threads = [come(gathering, [number], answers) for number in range(5)]
    door.let.set()
    for thread in threads:
        thread.join(10)
    assert {type(one) for one in answers.values()} == {OSError}
    door.error = None
    assert [one.id for one in gathering.append([9])] == ["9"]  # type: ignore[list-item]


def test_no_more_go_together_than_one_call_takes(door: Door, gathering: Gathering) -> None:
    answers: dict[int, Any] = {}
    threads = [come(gathering, [0], answers)]
    wait_until(lambda: len(door.calls) == 1, "the first is on the way")
    threads += [come(gathering, list(range(at, at + MOST - 1)), answers) for at in (10_000, 20_000)]
    wait_until(lambda: len(gathering._waiting) == 2, "two wait")
    door.let.set()
    for thread in threads:
        thread.join(10)
    assert [len(call) for call in door.calls] == [1, MOST - 1, MOST - 1]
