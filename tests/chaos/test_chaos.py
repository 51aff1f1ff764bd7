"""A short run of `make chaos` in `make test`: the same laws, fewer faults."""

from dataclasses import replace

import pytest

from tests.chaos import messages
from tests.chaos.faults import PROCESSES, draw
from tests.chaos.plans import Plan
from tests.chaos.rig import Shape
from tests.chaos.run import run

SHORT = Plan(
    name="short",
    recipients=8_000,
    faults=18,
    bag=PROCESSES,
    shape=Shape(workers=2, slots=4, latency_ms=300.0, jitter_ms=100.0),
    longest_pause_seconds=1.5,
    calm_seconds=60.0,
)


def test_nobody_is_lost_and_nobody_is_mailed_twice_whatever_goes_wrong() -> None:
    figures = run(SHORT, seed=20)
    assert figures["broken"] == [], figures
    assert figures["faults"] >= 15


SHORT_MESSAGES = replace(SHORT, name="messages", recipients=4_000, messages_per_second=200.0)


def test_no_message_is_lost_and_none_is_mailed_twice_whatever_goes_wrong() -> None:
    figures = messages.run(SHORT_MESSAGES, seed=20)
    assert figures["broken"] == [], figures
    assert figures["faults"] == 18


@pytest.mark.parametrize("how_many", [10, 50, 200])
def test_a_seed_draws_the_same_faults_again(how_many: int) -> None:
    drawn = draw(7, how_many, PROCESSES)
    assert drawn == draw(7, how_many, PROCESSES) != draw(8, how_many, PROCESSES)
    assert len(drawn) == how_many
    if how_many >= len(PROCESSES):
        assert {fault.kind for fault in drawn} == set(PROCESSES)
