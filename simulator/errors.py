"""How SES says no: exceptions of a whole call, statuses of one bulk entry, and their texts."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

RATE_TEXT: Final = "Maximum sending rate exceeded."
QUOTA_TEXT: Final = "Daily message quota exceeded."
SUSPENDED_TEXT: Final = (
    "Sending suspended for this account. For more information, please check the inbox of the "
    "email address associated with your AWS account."
)


class SesError(Exception):
    """One whole call is refused: HTTP status, `x-amzn-ErrorType` and message (null when None)."""

    def __init__(self, http_status: int, code: str, message: str | None) -> None:
        super().__init__(code, message)
        self.http_status = http_status
        self.code = code
        self.message = message


class Status(StrEnum):
    """`BulkEmailEntryResults[].Status`."""

    SUCCESS = "SUCCESS"
    ACCOUNT_THROTTLED = "ACCOUNT_THROTTLED"
    TRANSIENT_FAILURE = "TRANSIENT_FAILURE"
    ACCOUNT_DAILY_QUOTA_EXCEEDED = "ACCOUNT_DAILY_QUOTA_EXCEEDED"
    MESSAGE_REJECTED = "MESSAGE_REJECTED"
    INVALID_PARAMETER = "INVALID_PARAMETER"
    MAIL_FROM_DOMAIN_NOT_VERIFIED = "MAIL_FROM_DOMAIN_NOT_VERIFIED"
    CONFIGURATION_SET_NOT_FOUND = "CONFIGURATION_SET_NOT_FOUND"
    TEMPLATE_NOT_FOUND = "TEMPLATE_NOT_FOUND"
    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    ACCOUNT_SENDING_PAUSED = "ACCOUNT_SENDING_PAUSED"
    CONFIGURATION_SET_SENDING_PAUSED = "CONFIGURATION_SET_SENDING_PAUSED"
    INVALID_SENDING_POOL_NAME = "INVALID_SENDING_POOL_NAME"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One message is not taken; its siblings in the same bulk call may be.

    `status` is plain text because a scripted fault may use any, also one SES has yet to invent.
    """

    status: str
    text: str | None


THROTTLED: Final = Refusal(Status.ACCOUNT_THROTTLED, RATE_TEXT)
OVER_QUOTA: Final = Refusal(Status.ACCOUNT_DAILY_QUOTA_EXCEEDED, QUOTA_TEXT)

# SendEmail has no entry results: what is a status in bulk is an exception there.
_EXCEPTIONS: Final[dict[str, tuple[int, str]]] = {
    Status.ACCOUNT_THROTTLED: (429, "TooManyRequestsException"),
    Status.ACCOUNT_DAILY_QUOTA_EXCEEDED: (429, "TooManyRequestsException"),
    Status.TRANSIENT_FAILURE: (500, "InternalServiceErrorException"),
    Status.MESSAGE_REJECTED: (400, "MessageRejected"),
    Status.MAIL_FROM_DOMAIN_NOT_VERIFIED: (400, "MailFromDomainNotVerifiedException"),
    Status.CONFIGURATION_SET_NOT_FOUND: (404, "NotFoundException"),
    Status.TEMPLATE_NOT_FOUND: (404, "NotFoundException"),
    Status.ACCOUNT_SUSPENDED: (400, "AccountSuspendedException"),
    Status.ACCOUNT_SENDING_PAUSED: (400, "SendingPausedException"),
    Status.CONFIGURATION_SET_SENDING_PAUSED: (400, "SendingPausedException"),
}


def as_exception(refusal: Refusal, *, quota_as_limit_exceeded: bool) -> SesError:
    """The exception SendEmail answers where SendBulkEmail would answer `refusal`."""
    if quota_as_limit_exceeded and refusal.status == Status.ACCOUNT_DAILY_QUOTA_EXCEEDED:
        return SesError(400, "LimitExceededException", refusal.text)
    http_status, code = _EXCEPTIONS.get(refusal.status, (400, "BadRequestException"))
    return SesError(http_status, code, refusal.text)


def bad_request(message: str) -> SesError:
    return SesError(400, "BadRequestException", message)


def not_found(message: str) -> SesError:
    return SesError(404, "NotFoundException", message)


def constraint(member: str, rule: str) -> SesError:
    """A value that the service model forbids; the wording is SES's own."""
    return bad_request(
        f"1 validation error detected: Value at '{member}' failed to satisfy constraint: {rule}"
    )


def malformed(member: str) -> SesError:
    """A value of a wrong JSON type, or no JSON at all."""
    return SesError(400, "SerializationException", f"Unexpected value for {member}")


def rate_exceeded() -> SesError:
    """Too many API requests, whatever they carry; sending rate has its own text."""
    return SesError(429, "TooManyRequestsException", "Rate exceeded")


def suspended() -> SesError:
    return SesError(400, "AccountSuspendedException", SUSPENDED_TEXT)


def paused() -> SesError:
    # The real service leaves this message null more often than not.
    return SesError(400, "SendingPausedException", None)


def not_verified_text(region: str, identities: list[str]) -> str:
    return (
        "Email address is not verified. The following identities failed the check in region "
        f"{region.upper()}: {', '.join(identities)}"
    )
