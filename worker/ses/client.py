"""boto3 clients for SES: one to send and one to read, for each account in each process."""

import os
import threading
from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol

import boto3
import botocore
import botocore.session
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from postroom.errors import BadInputError
from postroom.model import AccountName
from postroom.settings import Account, Settings
from worker.ses import departure
from worker.ses.departure import Departure
from worker.ses.faults import NO_CREDENTIALS

Use = Literal["send", "read", "poll"]

_BODY: Final = "PostroomBody"
_REFUSED: Final = frozenset({401, 403})
_SESSION_NAME: Final = "postroom"


class SesClient(Protocol):
    """What this package calls of boto3's `sesv2` client."""

    meta: Any

    def send_email(self, **call: Any) -> Mapping[str, Any]: ...
    def send_bulk_email(self, **call: Any) -> Mapping[str, Any]: ...
    def get_account(self) -> Mapping[str, Any]: ...
    def get_email_identity(self, *, EmailIdentity: str) -> Mapping[str, Any]: ...  # noqa: N803
    def get_configuration_set(self, **call: Any) -> Mapping[str, Any]: ...
    def get_configuration_set_event_destinations(self, **call: Any) -> Mapping[str, Any]: ...


class Clients:
    """The clients of this process. Threads share them; a forked child builds its own."""

    def __init__(self, settings: Settings, *, calls_in_flight: int | None = None) -> None:
        """`calls_in_flight` is how many sends run at once, as many connections are kept."""
        self._settings = settings
        worker = settings.worker
        self._connections = calls_in_flight or worker.slots + worker.single_calls
        self._clients: dict[tuple[int, AccountName, Use], SesClient] = {}
        self._sessions: dict[tuple[int, AccountName, Use], boto3.session.Session] = {}
        self._signed = _Signed()
        self._lock = threading.Lock()

    def sending(self, account: AccountName) -> SesClient:
        """Return the client that tries each call once; see `post_json` for how to call it.

        Raises `BadInputError` when the settings of the account cannot be used.
        """
        return self._client(account, "send")

    def reading(self, account: AccountName) -> SesClient:
        """Return the client that retries reads by itself. Raises as `sending` does."""
        return self._client(account, "read")

    def polling(self, account: AccountName) -> SesClient:
        """Return the client that asks each question once. Raises as `sending` does."""
        return self._client(account, "poll")

    def access_key(self, account: AccountName, use: Use = "poll") -> str:
        """Return the access key id that an account is used with; empty when there is none.

        Raises what botocore raises while it gets credentials, and as `sending` does.
        """
        credentials = self._session(account, use).get_credentials()
        return credentials.get_frozen_credentials().access_key or "" if credentials else ""

    def changed(self, account: AccountName, use: Use) -> bool:
        """Whether there are other credentials than those of this thread's last call.

        Asked once SES refused them: keys are changed in their file while the old ones are held
        by every process that has sent with them.
        """
        try:
            key = self.access_key(account, use)
        except (BadInputError, BotoCoreError, ClientError):
            return False
        return bool(key) and f"Credential={key}/" not in self._signed.authorization

    def security(self, account: AccountName) -> Any:
        """Make a client for STS with the credentials of an account. Raises as `sending` does."""
        return self._session(account, "poll").client("sts", config=self._config("poll"))

    def _session(self, account: AccountName, use: Use) -> boto3.session.Session:
        self._client(account, use)
        return self._sessions[os.getpid(), account, use]

    def _client(self, account: AccountName, use: Use) -> SesClient:
        key = (os.getpid(), account, use)
        found = self._clients.get(key)
        if found is not None:
            return found
        with self._lock:  # boto3 sessions are not safe to build clients from in two threads.
            if key not in self._clients:
                self._clients[key] = self._built(account, use)
                self._forget_when_refused(key)
            return self._clients[key]

    def _forget_when_refused(self, key: tuple[int, AccountName, Use]) -> None:
        """Make a new client after credentials failed: the SDK would keep them for ever.

        So keys that are mended in their file are used at the next call.
        """
        client = self._clients[key]

        def forget() -> None:
            if self._clients.get(key) is client:
                self._clients.pop(key, None)

        def answered(*, http_response: Any, **_: object) -> None:
            # After a 1xx the answer is still to come, and would be read as that of the next call.
            if http_response.status_code in _REFUSED or http_response.status_code < 200:
                forget()

        def failed(*, exception: Exception, **_: object) -> None:
            if isinstance(exception, (*NO_CREDENTIALS, ClientError)):
                forget()

        def leaves(*, request: Any, **_: object) -> None:
            self._signed.authorization = str(request.headers.get("Authorization") or "")

        client.meta.events.register("before-send.sesv2", leaves)
        client.meta.events.register("after-call.sesv2", answered)
        client.meta.events.register("after-call-error.sesv2", failed)

    def _built(self, name: AccountName, use: Use) -> SesClient:
        account = self._settings.accounts.get(name)
        if account is None:
            raise BadInputError(f"settings: no account {name!r}")
        config = self._config(use)
        endpoint = account.endpoint_url or None
        try:
            session = boto3.session.Session(
                botocore_session=_botocore_session(account), region_name=account.region
            )
            client: Any = session.client("sesv2", endpoint_url=endpoint, config=config)
        except (BotoCoreError, ValueError) as error:  # A profile, Region or endpoint that is none.
            raise BadInputError(f"settings: accounts.{name}: {error}") from None
        self._sessions[os.getpid(), name, use] = session
        if use == "send":
            _take_ready_bodies(client)
            departure.watch(client)
        made: SesClient = client
        return made

    def _config(self, use: Use) -> Config:
        # The SDK's own retries hide throttles from the limiter and send mails twice; and to ask
        # for the quota thrice in a second is more than SES takes of all processes together.
        tries = 3 if use == "read" else 1
        connections = self._connections if use == "send" else 2
        ses = self._settings.ses
        return Config(
            retries={"mode": "standard", "total_max_attempts": tries},
            parameter_validation=False,  # The service model does not know ready-made bodies.
            tcp_keepalive=True,
            max_pool_connections=connections,
            connect_timeout=ses.connect_timeout_seconds,
            read_timeout=ses.read_timeout_seconds,
            # Else botocore puts the header together anew twice a call: 0.1 ms of 0.7.
            user_agent=f"Boto3/{boto3.__version__} Botocore/{botocore.__version__} postroom",
        )


class _Signed(threading.local):
    """How this thread's last call was signed."""

    authorization: str = ""


def post_json(
    client: SesClient, operation: str, body: bytes, leaving: Departure
) -> Mapping[str, Any]:
    """Make one SendEmail or SendBulkEmail with a body that is already JSON.

    Only for a `sending` client. Raises what botocore raises, and `HeldBackError`; `leaving`
    says afterwards whether the request may have gone out.
    """
    call = client.send_bulk_email if operation == "SendBulkEmail" else client.send_email
    with departure.leaving(leaving):
        return call(**{_BODY: body})


def _take_ready_bodies(client: Any) -> None:
    """Let the client take a body as bytes: to serialise it by the model costs 15 us a mail."""
    for operation in ("SendEmail", "SendBulkEmail"):
        events = client.meta.events
        events.register(f"provide-client-params.sesv2.{operation}", _set_aside)
        events.register(f"before-call.sesv2.{operation}", _put_in)


def _set_aside(*, params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    context[_BODY] = params.pop(_BODY)


def _put_in(*, params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    params["body"] = context.pop(_BODY)


def _botocore_session(account: Account) -> botocore.session.Session:
    session = botocore.session.Session(profile=account.profile or None)
    if not account.role_arn:
        return session
    assuming = botocore.session.Session(profile=account.profile or None)
    resolver = CredentialResolver([_AssumedRole(session, account)])
    assuming.register_component("credential_provider", resolver)
    return assuming


class _AssumedRole(CredentialProvider):
    """Credentials of `role_arn`, renewed by botocore before they expire."""

    METHOD = "custom-assume-role"

    def __init__(self, base: botocore.session.Session, account: Account) -> None:
        super().__init__(base)
        self._base = base
        self._account = account

    def load(self) -> DeferredRefreshableCredentials:
        source = self._base.get_credentials()
        if source is None:
            raise NoCredentialsError
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=self._create_client,
            source_credentials=source,
            role_arn=self._account.role_arn,
            extra_args={"RoleSessionName": _SESSION_NAME},
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)

    def _create_client(self, service: str, **options: Any) -> Any:
        return self._base.create_client(service, region_name=self._account.region, **options)
