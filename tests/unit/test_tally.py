"""What one call adds to the totals of its account."""

import pytest

from postroom.model import Lane, Outcome, Settled
from worker.sending.tally import tally
from worker.ses.verdict import ACCEPTED, Kind, Verdict


def settled(*outcomes: Outcome) -> list[Settled]:
    return [Settled(index=at, outcome=outcome) for at, outcome in enumerate(outcomes)]


def verdicts(*kinds: Kind) -> list[Verdict]:
    return [Verdict(kind) for kind in kinds]


def test_a_bulk_call_is_one_request_whatever_it_brings_to_each() -> None:
    found = settled(Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.REJECTED, Outcome.SUPPRESSED)
    answers = [ACCEPTED, ACCEPTED, Verdict(Kind.REJECTED, "no")]
    assert tally(Lane.BULK, found, answers, bulk=True) == {
        "accepted:bulk": 2,
        "rejected:bulk": 1,
        "suppressed:bulk": 1,
        "calls:bulk:ok": 1,
    }


def test_single_calls_are_a_request_each() -> None:
    found = settled(Outcome.ACCEPTED, Outcome.PENDING, Outcome.AMBIGUOUS)
    answers = verdicts(Kind.ACCEPTED, Kind.THROTTLED, Kind.AMBIGUOUS)
    assert tally(Lane.TRANSACTIONAL, found, answers, bulk=False) == {
        "accepted:transactional": 1,
        "ambiguous:transactional": 1,
        "throttled:transactional": 1,
        "calls:single:ok": 1,
        "calls:single:throttled": 1,
        "calls:single:failed": 1,
    }


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        (Kind.THROTTLED, "throttled"),
        (Kind.BULK_THROTTLED, "throttled"),
        (Kind.UNREACHABLE, "failed"),
        (Kind.TRANSIENT, "failed"),
        (Kind.QUOTA, "ok"),
    ],
)
def test_a_request_has_one_result(kind: Kind, result: str) -> None:
    found = settled(Outcome.PENDING, Outcome.PENDING)
    brought = tally(Lane.BULK, found, verdicts(kind, kind), bulk=True)
    assert brought[f"calls:bulk:{result}"] == 1
    assert sum(n for name, n in brought.items() if name.startswith("calls")) == 1


def test_what_never_left_is_no_request() -> None:
    found = settled(Outcome.PENDING)
    assert tally(Lane.BULK, found, verdicts(Kind.UNSENT), bulk=True) == {}
    assert tally(Lane.BULK, settled(Outcome.SUPPRESSED), [], bulk=True) == {"suppressed:bulk": 1}
