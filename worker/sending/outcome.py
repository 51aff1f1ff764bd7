"""What a verdict means for the books and for the quota."""

from typing import Final

from postroom.model import OnAmbiguous, Outcome, Settled
from worker.ses.verdict import Kind, Verdict

COUNTED: Final = frozenset({Kind.ACCEPTED, Kind.AMBIGUOUS})
"""Verdicts after which SES may have counted the recipient."""

NEVER_SENT: Final = frozenset({Kind.UNSENT, Kind.ONE_BY_ONE, Kind.STOP_WORKER})
"""Verdicts after which the rate is as if there had been no call."""

FAILURES: Final = frozenset({Kind.TRANSIENT, Kind.AMBIGUOUS})
"""Verdicts that spend an attempt; all others say in their words that they do not."""

FAULTS: Final = FAILURES | {Kind.UNREACHABLE}
"""Verdicts after which the next call waits a little."""

_GIVEN_UP: Final = "SES kept failing until all tries were spent"


def outcome_of(index: int, verdict: Verdict, policy: OnAmbiguous, *, last_try: bool) -> Settled:
    """Return how a recipient is settled; `pending` is to be sent again."""
    if verdict.kind is Kind.ACCEPTED:
        return Settled(index=index, outcome=Outcome.ACCEPTED)
    if verdict.kind is Kind.REJECTED:
        return Settled(index=index, outcome=Outcome.REJECTED, reason=verdict.reason)
    if verdict.kind is Kind.AMBIGUOUS and (policy is OnAmbiguous.SKIP or last_try):
        return Settled(index=index, outcome=Outcome.AMBIGUOUS)
    if verdict.kind is Kind.TRANSIENT and last_try:
        return Settled(index=index, outcome=Outcome.REJECTED, reason=_GIVEN_UP)
    return Settled(index=index, outcome=Outcome.PENDING)
