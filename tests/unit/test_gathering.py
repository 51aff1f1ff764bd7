"""Callers who append at the same time go together; each gets his own answers."""

import ctypes
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from postroom.errors import MaybeSubmittedError
from postroom.ids import CampaignId
from postroom.messages.gathering import MOST, FollowUp, Gathering
from postroom.store.streams import Appended
from tests.support.waiting import wait_until


class Ended(BaseException):
    """What ends a thread: Ctrl-C, a time limit, a stop of the server."""


class Door:
    """Appends when it is let; a message is any object here."""

    def __init__(self) -> None:
        self.calls: list[list[Any]] = []
        self.let = threading.Event()
        self.error: BaseException | None = None
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
        except (OSError, MaybeSubmittedError, Ended) as error:
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


def test_one_that_is_ended_on_its_way_ends_no_other(door: Door, gathering: Gathering) -> None:
    answers: dict[int, Any] = {}
    threads = [come(gathering, [1], answers)]
    wait_until(lambda: len(door.calls) == 1, "the first is on its way")
    threads += [come(gathering, [number], answers) for number in (2, 3)]
    wait_until(lambda: len(gathering._waiting) == 2, "2 wait")
    door.error = Ended()
    door.let.set()
    for thread in threads:
        thread.join(10)
    leads, taken = door.calls[1]
    told = {number: type(answer) for number, answer in answers.items()}
    assert told == {1: Ended, leads: Ended, taken: MaybeSubmittedError}


def test_one_that_is_ended_while_it_waits_leaves_the_lead_to_the_next(
    door: Door, gathering: Gathering
) -> None:
    answers: dict[int, Any] = {}
    threads = [come(gathering, [1], answers)]
    wait_until(lambda: len(door.calls) == 1, "the first is on its way")
    threads.append(come(gathering, [2], answers))
    wait_until(lambda: len(gathering._waiting) == 1, "1 wait")
    threads.append(come(gathering, [3], answers))
    wait_until(lambda: len(gathering._waiting) == 2, "2 wait")
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(threads[1].ident or 0), ctypes.py_object(Ended)
    )
    door.let.set()
    for thread in threads:
        thread.join(10)
    assert isinstance(answers[2], Ended)
    assert (answers[3], door.calls) == (["3"], [[1], [3]])
