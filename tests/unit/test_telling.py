"""A task says in Flower how it ended, and never an address."""

from datetime import datetime

import pytest

from postroom.clock import utc
from worker.process.task_result import told
from worker.sending.sender import Sent


def in_a_while(seconds: float) -> datetime:
    return utc(1_790_000_100.0 + seconds)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (Sent(recipients=500, of=500), "sent 500"),
        (Sent(recipients=120, of=500, ended="slice over", more=True), "slice over: 120 of 500"),
        (
            Sent(ended="parked: quota spent", rest_seconds=1300, of=500),
            "parked: quota spent until 14:36 UTC",
        ),
        (
            Sent(recipients=50, of=500, ended="parked: quota spent", rest_seconds=1300),
            "parked: quota spent until 14:36 UTC; sent 50 of 500",
        ),
        (
            Sent(ended="parked: quota spent", rest_seconds=86_400),
            "parked: quota spent until 2026-09-22 14:15 UTC",
        ),
        (Sent(ended="halted: SES refuses", of=5), "halted: SES refuses"),
        (Sent(ended="left to others: no such sender"), "left to others: no such sender"),
    ],
)
def test_a_task_tells_how_it_ended(sent: Sent, words: str) -> None:
    assert told(sent, batches=1, recipients=sent.recipients, utc_in=in_a_while) == words


def test_what_a_slice_sent_besides_is_told_too() -> None:
    first = Sent(recipients=500, of=500)
    assert told(first, batches=2, recipients=900) == "sent 500; then sent 400 of 1 more batch"
    assert told(first, batches=3, recipients=900) == "sent 500; then sent 400 of 2 more batches"


def test_an_address_in_a_reason_is_taken_out() -> None:
    words = told(Sent(ended="halted: ann@example.com"), batches=1, recipients=0)
    assert "example.com" not in words
