"""Ask SES a question that may be repeated; read why there is no answer."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from postroom.errors import PostroomError
from worker.ses import codes
from worker.ses.reading import Reader
from worker.ses.verdict import Kind, Verdict

_NOT_FOUND: Final = "notfound"


class UnansweredError(PostroomError):
    """SES did not answer a question. `verdict.kind` says whether to ask again.

    TRANSIENT, UNREACHABLE and THROTTLED pass; STOP_ACCOUNT needs a person, STOP_WORKER one for
    this host; STOP_CAMPAIGN means that this SES does not offer the call.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class NotThereError(UnansweredError):
    """SES knows the call, but not what it was asked about."""


def ask(
    operation: str, call: Callable[..., Mapping[str, Any]], region: str, **about: str
) -> Mapping[str, Any]:
    """Make one reading call. Raises `UnansweredError`."""
    try:
        return call(**about)
    except Exception as error:  # noqa: BLE001 - only the SDK runs in there; see faults
        raise _unanswered(operation, error, region) from None


def _unanswered(operation: str, error: Exception, region: str) -> UnansweredError:
    # A question may be asked again: whether it has left makes no difference.
    verdict = Reader(operation, region, "", ()).failure(error, left=False)
    if verdict.kind is Kind.AMBIGUOUS:
        verdict = Verdict(Kind.TRANSIENT, f"SES did not answer {operation}")
    if isinstance(error, ClientError):
        code = str((error.response.get("Error") or {}).get("Code") or "")
        if codes.normal(code) == _NOT_FOUND:
            return NotThereError(verdict)
    return UnansweredError(verdict)
