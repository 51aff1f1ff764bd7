"""How many batches a worker process announces room for, a lane."""

import pytest

from postroom.model import Lane
from worker.process.heartbeat import slots_of


@pytest.mark.parametrize("concurrency", [2, 3, 7, 8, 16, 32, 100])
def test_some_are_never_taken_by_bulk_mail(concurrency: int) -> None:
    """Else a message would wait for a bulk batch to end: up to a slice of ten seconds."""
    slots = slots_of(concurrency)
    assert 1 <= slots[Lane.BULK] < slots[Lane.TRANSACTIONAL] == concurrency


def test_one_in_eight_is_kept_free() -> None:
    assert slots_of(32) == {Lane.BULK: 28, Lane.TRANSACTIONAL: 32}


def test_the_only_one_serves_both() -> None:
    assert slots_of(1) == {Lane.BULK: 1, Lane.TRANSACTIONAL: 1}
