"""What one call brought, under the names of the totals of an account."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from postroom.model import Lane, Outcome, Settled
from worker.sending.outcome import FAULTS
from worker.ses.verdict import Kind, Verdict

_NO_CALL: Final = frozenset({Kind.UNSENT})
_THROTTLED: Final = frozenset({Kind.THROTTLED, Kind.BULK_THROTTLED})


def tally(
    lane: Lane, settled: Iterable[Settled], verdicts: Sequence[Verdict], *, bulk: bool
) -> Mapping[str, int]:
    """Count recipients by outcome, and the requests to SES: one for all of them, or one each."""
    brought = Counter(
        f"{one.outcome}:{lane}" for one in settled if one.outcome is not Outcome.PENDING
    )
    kinds = [verdict.kind for verdict in verdicts]
    if throttled := sum(kind is Kind.THROTTLED for kind in kinds):
        brought[f"throttled:{lane}"] = throttled
    calls = [kinds] if bulk and kinds else [[kind] for kind in kinds]
    results = Counter(_result(call) for call in calls if not set(call) <= _NO_CALL)
    operation = "bulk" if bulk else "single"
    return brought + Counter({f"calls:{operation}:{one}": n for one, n in results.items()})


def _result(kinds: Sequence[Kind]) -> str:
    """`ok`: SES answered for each recipient, be it that it refuses some."""
    if all(kind in _THROTTLED for kind in kinds):
        return "throttled"
    return "failed" if all(kind in FAULTS for kind in kinds) else "ok"
