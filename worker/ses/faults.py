"""Read faults that are not SES's answer: of the network, the AWS SDK and the credentials."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final

from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.connection import HTTPConnection, HTTPSConnection

from postroom.errors import BadInputError
from worker.ses import codes
from worker.ses.departure import HeldBackError
from worker.ses.verdict import Kind, Verdict

_CONNECT: Final = frozenset({HTTPConnection.connect.__code__, HTTPSConnection.connect.__code__})
"""What makes a connection, through a proxy and its tunnel and TLS; nothing is sent in there."""
_NEVER_CONNECTED: Final = (aws.EndpointConnectionError, aws.ConnectTimeoutError)
"""urllib3 raises what these stand for in there and nowhere else."""
_OF_THE_NETWORK: Final = (
    aws.ConnectionError,
    aws.HTTPClientError,
    aws.IncompleteReadError,
    ResponseParserError,
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


def verdict(error: Exception, *, left: bool) -> Verdict:
    """Return what became of a call that ended without an answer of SES.

    `left` says whether its request may have gone out.
    """
    name = type(error).__name__
    if isinstance(error, HeldBackError):
        return Verdict(Kind.UNSENT, str(error))
    if isinstance(error, BadInputError):
        return Verdict(Kind.STOP_WORKER, str(error))
    if isinstance(error, NO_CREDENTIALS):
        return Verdict(Kind.STOP_WORKER, f"no usable AWS credentials ({name})")
    if left and not _while_connecting(error):
        # Even an error of the SDK's own: it parses the answer, and may raise anything over it.
        return Verdict(Kind.AMBIGUOUS, f"the call broke before SES answered ({name})")
    if isinstance(error, BotoCoreError) and not isinstance(error, _OF_THE_NETWORK):
        return Verdict(Kind.STOP_WORKER, f"the AWS settings cannot be used ({name})")
    return Verdict(Kind.UNREACHABLE, f"SES cannot be reached ({name})")


def credentials_verdict(error: ClientError) -> Verdict:
    """Return what became of a call whose credentials AWS did not hand out (AssumeRole)."""
    told: Mapping[str, Any] = error.response.get("Error") or {}
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0
    code = str(told.get("Code") or status)
    reason = f"AWS refuses {error.operation_name} ({code})"
    passing = status >= 500 or codes.BY_TEXT.get(codes.normal(code)) is codes.THROTTLED
    return Verdict(Kind.UNREACHABLE if passing else Kind.STOP_ACCOUNT, reason)


def _while_connecting(error: Exception) -> bool:
    """Whether the connection was still being made: not one byte of the request had left.

    By where the fault arose, not by its type or text. A proxy that hangs up after it took the
    request raises the same `ProxyConnectionError` as one that is not there (http.client closes
    the connection first, urllib3 then takes it for one that never was), and with TLS 1.3 a
    server may refuse a handshake that is over for the client.
    """
    return isinstance(error, _NEVER_CONNECTED) or any(
        frame.tb_frame.f_code in _CONNECT for one in _causes(error) for frame in _frames(one)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def _frames(error: BaseException) -> Iterator[TracebackType]:
    at = error.__traceback__
    while at is not None:
        yield at
        at = at.tb_next
