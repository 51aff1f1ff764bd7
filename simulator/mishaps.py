"""What a fault does to a call: errors in SES's own words, cut lines, silence, garbage.

`before` runs ahead of accepting anything, `after` once the mail is accepted.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import orjson

from simulator.errors import (
    QUOTA_TEXT,
    RATE_TEXT,
    SesError,
    not_verified_text,
    paused,
    rate_exceeded,
    suspended,
)
from simulator.faults import Fault, Kind
from simulator.settings import Settings

# Neither JSON nor empty, as a proxy in between may send with a 200.
_GARBAGE: Final = b"<html><body>upstream connect error</body></html>"
_DENIED: Final = (
    "User `arn:aws:iam::111122223333:user/bulk-worker' is not authorized to perform "
    "`ses:SendEmail' on resource `arn:aws:ses:{region}:111122223333:identity/shop.example.com'"
)

_SAYINGS: Final[Mapping[Kind, tuple[int, str, str | None]]] = {
    Kind.THROTTLE: (429, "TooManyRequestsException", RATE_TEXT),
    Kind.QUOTA: (429, "TooManyRequestsException", QUOTA_TEXT),
    Kind.HTTP_500: (500, "InternalFailure", None),
    Kind.HTTP_503: (503, "ServiceUnavailable", "Service is temporarily unavailable."),
    Kind.HTTP_500_AFTER: (500, "InternalFailure", None),
    Kind.HTTP_503_AFTER: (503, "ServiceUnavailable", "Service is temporarily unavailable."),
    Kind.BAD_CREDENTIALS: (
        403,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    ),
    Kind.EXPIRED_TOKEN: (
        403,
        "ExpiredTokenException",
        "The security token included in the request is expired",
    ),
    Kind.BAD_SIGNATURE: (
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check "
        "your AWS Secret Access Key and signing method. Consult the service documentation for "
        "details.",
    ),
    Kind.MAIL_FROM_NOT_VERIFIED: (
        400,
        "MailFromDomainNotVerifiedException",
        "Custom MAIL FROM domain is not verified.",
    ),
    Kind.CONFIGURATION_SET_NOT_FOUND: (
        404,
        "NotFoundException",
        "Configuration set campaigns does not exist.",
    ),
}
_PLAIN: Final = {
    Kind.RATE_EXCEEDED: rate_exceeded,
    Kind.PAUSED: paused,
    Kind.SUSPENDED: suspended,
}
_LATE: Final = frozenset(
    {
        Kind.HTTP_500_AFTER,
        Kind.HTTP_503_AFTER,
        Kind.CUT_AFTER,
        Kind.HANG_AFTER,
        Kind.GARBAGE_AFTER,
        Kind.FEWER_RESULTS,
    }
)


class ConnectionCutError(Exception):
    """The connection is to be closed without an answer."""


async def before(fault: Fault, settings: Settings) -> bytes | None:
    """Raise what `fault` says instead of accepting, or return what it answers."""
    if fault.kind in _LATE:
        return None
    if fault.kind is Kind.HANG_BEFORE:
        await asyncio.sleep(fault.seconds)
        raise ConnectionCutError
    if fault.kind is Kind.CUT_BEFORE:
        raise ConnectionCutError
    if fault.kind is Kind.GARBAGE_BEFORE:
        return _GARBAGE
    refusal = _refusal(fault, settings)
    if refusal is not None:
        raise refusal
    return None


async def after(fault: Fault, settings: Settings, answer: Mapping[str, object]) -> bytes:
    """The bytes that go out in place of `answer`; the mail is accepted whatever they are."""
    if fault.kind is Kind.HANG_AFTER:
        await asyncio.sleep(fault.seconds)
        raise ConnectionCutError
    if fault.kind is Kind.CUT_AFTER:
        raise ConnectionCutError
    if fault.kind is Kind.GARBAGE_AFTER:
        return _GARBAGE
    refusal = _refusal(fault, settings)
    if refusal is not None:
        raise refusal
    return orjson.dumps(_shortened(fault, answer))


def _refusal(fault: Fault, settings: Settings) -> SesError | None:
    if fault.kind in _SAYINGS:
        http_status, code, message = _SAYINGS[fault.kind]
        return SesError(http_status, code, fault.error or message)
    if fault.kind in _PLAIN:
        return _PLAIN[fault.kind]()
    if fault.kind is Kind.ACCESS_DENIED:
        text = fault.error or _DENIED.format(region=settings.region)
        return SesError(403, "AccessDeniedException", text)
    if fault.kind is Kind.IDENTITY_NOT_VERIFIED:
        text = fault.error or not_verified_text(settings.region, ["news@shop.example.com"])
        return SesError(400, "MessageRejected", text)
    return None


def _shortened(fault: Fault, answer: Mapping[str, object]) -> Mapping[str, object]:
    results = answer.get("BulkEmailEntryResults")
    if fault.kind is not Kind.FEWER_RESULTS or not isinstance(results, list):
        return answer
    return {**answer, "BulkEmailEntryResults": results[: max(0, len(results) - fault.missing)]}
