"""Read faults that are not SES's answer: of the network, the AWS SDK and the credentials."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from postroom.errors import BadInputError
from worker.ses import codes
from worker.ses.verdict import Kind, Verdict

_SEND_PATH: Final = "/v2/email/outbound"
_HANDSHAKE: Final = ("certificate", "handshake", "wrong_version", "record layer", "unknown_ca")

_BEFORE_SENDING: Final = (
    aws.EndpointConnectionError,
    aws.ConnectTimeoutError,
    aws.ProxyConnectionError,
)
_AFTER_SENDING: Final = (
    aws.HTTPClientError,
    aws.IncompleteReadError,
    aws.SSLError,
)
NO_CREDENTIALS: Final = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.NoAuthTokenError,
    aws.CredentialRetrievalError,
    aws.MetadataRetrievalError,
    aws.TokenRetrievalError,
    aws.UnknownCredentialError,
    aws.RefreshWithMFAUnsupportedError,
    aws.ProfileNotFound,
    aws.SSOError,
    # Not in the oldest botocore that we take.
    *(
        getattr(aws, name)
        for name in ("LoginError", "UnknownTokenProviderError")
        if hasattr(aws, name)
    ),
)


def verdict(error: Exception) -> Verdict:
    """Return what became of a call that ended without an answer of SES."""
    name = type(error).__name__
    if isinstance(error, BadInputError):
        return Verdict(Kind.STOP_ACCOUNT, str(error))
    if isinstance(error, NO_CREDENTIALS):
        return Verdict(Kind.STOP_ACCOUNT, f"no usable AWS credentials ({name})")
    if isinstance(error, _BEFORE_SENDING) or _is_handshake(error) or _was_elsewhere(error):
        return Verdict(Kind.UNREACHABLE, f"SES cannot be reached ({name})")
    if isinstance(error, BotoCoreError) and not isinstance(
        error, (*_AFTER_SENDING, ResponseParserError)
    ):
        return Verdict(Kind.STOP_ACCOUNT, f"the AWS settings cannot be used ({name})")
    # The SDK's parser may raise anything over a garbled answer: the request had left by then.
    return Verdict(Kind.AMBIGUOUS, f"the call broke before SES answered ({name})")


def credentials_verdict(error: ClientError) -> Verdict:
    """Return what became of a call whose credentials AWS did not hand out (AssumeRole)."""
    told: Mapping[str, Any] = error.response.get("Error") or {}
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0
    code = str(told.get("Code") or status)
    reason = f"AWS refuses {error.operation_name} ({code})"
    passing = status >= 500 or codes.BY_TEXT.get(codes.normal(code)) is codes.THROTTLED
    return Verdict(Kind.UNREACHABLE if passing else Kind.STOP_ACCOUNT, reason)


def _is_handshake(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, aws.SSLError) and any(one in text for one in _HANDSHAKE)


def _was_elsewhere(error: Exception) -> bool:
    """Whether the broken connection was not to SES but, say, to where roles are assumed."""
    url = getattr(error, "kwargs", {}).get("endpoint_url")
    return isinstance(url, str) and not urlsplit(url).path.startswith(_SEND_PATH)
