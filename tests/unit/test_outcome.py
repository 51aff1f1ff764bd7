"""What each verdict of SES means for the books, under both policies and at the last try."""

import pytest

from postroom.model import OnAmbiguous, Outcome
from worker.sending.outcome import COUNTED, outcome_of
from worker.ses.verdict import Kind, Verdict

SKIP, RESEND = OnAmbiguous.SKIP, OnAmbiguous.RESEND


def outcome(kind: Kind, policy: OnAmbiguous = SKIP, *, last_try: bool = False) -> Outcome:
    return outcome_of(3, Verdict(kind, "why"), policy, last_try=last_try).outcome


@pytest.mark.parametrize("last_try", [False, True])
@pytest.mark.parametrize("policy", list(OnAmbiguous))
def test_what_ses_says_for_sure_is_so(policy: OnAmbiguous, *, last_try: bool) -> None:
    assert outcome(Kind.ACCEPTED, policy, last_try=last_try) is Outcome.ACCEPTED
    assert outcome(Kind.REJECTED, policy, last_try=last_try) is Outcome.REJECTED


def test_in_doubt_nobody_is_mailed_again_under_skip() -> None:
    assert outcome(Kind.AMBIGUOUS) is Outcome.AMBIGUOUS


def test_in_doubt_resend_tries_again_until_all_tries_are_spent() -> None:
    assert outcome(Kind.AMBIGUOUS, RESEND) is Outcome.PENDING
    assert outcome(Kind.AMBIGUOUS, RESEND, last_try=True) is Outcome.AMBIGUOUS


def test_what_passes_is_tried_again_until_all_tries_are_spent() -> None:
    assert outcome(Kind.TRANSIENT) is Outcome.PENDING
    assert outcome(Kind.TRANSIENT, last_try=True) is Outcome.REJECTED


def test_what_ses_may_have_counted_counts() -> None:
    assert {Kind.ACCEPTED, Kind.AMBIGUOUS} == COUNTED
