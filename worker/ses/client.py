"""boto3's clients for SES: one to send by, for each account in each process.

They are made when first wanted, by whoever wants them; nobody waits for the client of another
account, unless both use the same credentials.
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from postroom import clock
from postroom.clock import Clock
from postroom.errors import BadInputError
from postroom.model import AccountName
from postroom.settings import Account, Settings
from worker.ses.connections import Connections, pool_of
from worker.ses.credentials import Session, Sessions
from worker.ses.faults import NO_CREDENTIALS
from worker.ses.ready_body import take_ready_bodies

Use = Literal["send", "read"]

_REFUSED: Final = frozenset({401, 403})
_UNUSED_SECONDS: Final = 300.0
"""Above the time between two readings of an account by one of a few processes; a new client
costs a few milliseconds."""


class SesClient(Protocol):
    """What this package calls of boto3's `sesv2` client."""

    meta: Any

    def send_email(self, **call: Any) -> Mapping[str, Any]: ...
    def send_bulk_email(self, **call: Any) -> Mapping[str, Any]: ...
    def get_account(self) -> Mapping[str, Any]: ...
    def get_email_identity(self, *, EmailIdentity: str) -> Mapping[str, Any]: ...  # noqa: N803
    def get_configuration_set(self, **call: Any) -> Mapping[str, Any]: ...
    def get_configuration_set_event_destinations(self, **call: Any) -> Mapping[str, Any]: ...


@dataclass(slots=True)
class _Made:
    """One client, and what it was made with."""

    client: SesClient
    session: Session
    used_at: float


@dataclass(frozen=True, slots=True)
class _OfProcess:
    """What one process has made: a forked child shares none of it."""

    sessions: Sessions = field(default_factory=Sessions)
    connections: Connections = field(default_factory=Connections)
    clients: dict[tuple[AccountName, Use], _Made] = field(default_factory=dict)
    making: dict[tuple[AccountName, Use], threading.Lock] = field(default_factory=dict)


class Clients:
    """The clients of this process. Threads share them; a forked child makes its own."""

    def __init__(
        self,
        settings: Settings,
        *,
        calls_in_flight: int | None = None,
        clock: Clock = clock.monotonic,
    ) -> None:
        """`calls_in_flight` is how many sends run at once, as many connections are kept."""
        self._settings: Final = settings
        worker = settings.worker
        self._connections: Final = calls_in_flight or worker.slots + worker.single_calls
        self._clock: Final = clock
        self._processes: Final[dict[int, _OfProcess]] = {}
        self._signed: Final = _Signed()

    def sending(self, account: AccountName) -> SesClient:
        """Return the client that tries each call once; see ready_body.py for how to send by it.

        Raises `BadInputError` when the settings of the account cannot be used.
        """
        return self._made(account, "send").client

    def reading(self, account: AccountName) -> SesClient:
        """Return the client that retries reads by itself. Raises as `sending` does."""
        return self._made(account, "read").client

    def access_key(self, account: AccountName) -> str:
        """Return the access key id that an account is used with; empty when there is none.

        Raises what botocore raises while it gets credentials, and as `sending` does.
        """
        return self._made(account, "send").session.access_key()

    def changed(self, account: AccountName) -> bool:
        """Whether there are other credentials than those of this thread's last call.

        Asked once SES refused them: keys are changed in their file while the old ones are held
        by every process that has sent with them.
        """
        try:
            key = self.access_key(account)
        except (BadInputError, BotoCoreError, ClientError):
            return False
        return bool(key) and f"Credential={key}/" not in self._signed.authorization

    def security(self, account: AccountName) -> Any:
        """Make a client for STS with the credentials of an account. Raises as `sending` does."""
        region = self._account(account).region
        session = self._made(account, "send").session
        return session.client("sts", region_name=region, config=self._config("send"))

    def close_unused(self) -> None:
        """Forget the clients that nobody has used for minutes. n is those of this process."""
        before = self._clock() - _UNUSED_SECONDS
        clients = self._here().clients
        for key in [one for one, made in list(clients.items()) if made.used_at < before]:
            clients.pop(key, None)

    def _here(self) -> _OfProcess:
        here = self._processes.get(os.getpid())
        return here or self._processes.setdefault(os.getpid(), _OfProcess())

    def _made(self, account: AccountName, use: Use) -> _Made:
        here, key = self._here(), (account, use)
        made = here.clients.get(key)
        if made is None:
            with here.making.setdefault(key, threading.Lock()):
                made = here.clients.get(key) or self._make(here, account, use)
                here.clients[key] = made
        made.used_at = self._clock()
        return made

    def _make(self, here: _OfProcess, name: AccountName, use: Use) -> _Made:
        account = self._account(name)
        try:
            session = here.sessions.session(account)
            client = session.client(
                "sesv2",
                region_name=account.region,
                endpoint_url=account.endpoint_url or None,
                config=self._config(use),
            )
        except (BotoCoreError, ValueError) as error:  # A profile, Region or endpoint that is none.
            raise BadInputError(f"settings: accounts.{name}: {error}") from None
        here.connections.share(client, (use, client.meta.endpoint_url, session.ca_bundle))
        made = _Made(client, session, self._clock())
        self._watch(here, (name, use), made)
        client.meta.events.register("before-send.sesv2", self._note_signature)
        if use == "send":
            take_ready_bodies(client)
        return made

    def _account(self, name: AccountName) -> Account:
        account = self._settings.accounts.get(name)
        if account is None:
            raise BadInputError(f"settings: no account {name!r}")
        return account

    def _watch(self, here: _OfProcess, key: tuple[AccountName, Use], made: _Made) -> None:
        """Make a new client after credentials failed: the SDK would keep them for ever.

        So keys that are mended in their file are used at the next call.
        """

        def forget() -> None:
            here.sessions.forget(made.session)
            if here.clients.get(key) is made:
                here.clients.pop(key, None)

        def answered(*, http_response: Any, **_: object) -> None:
            if http_response.status_code in _REFUSED:
                forget()
            elif http_response.status_code < 200:
                _forget_connections(here, made.client)

        def failed(*, exception: Exception, **_: object) -> None:
            if isinstance(exception, (*NO_CREDENTIALS, ClientError)):
                forget()

        made.client.meta.events.register("after-call.sesv2", answered)
        made.client.meta.events.register("after-call-error.sesv2", failed)

    def _note_signature(self, *, request: Any, **_: object) -> None:
        self._signed.authorization = str(request.headers.get("Authorization") or "")

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


def _forget_connections(here: _OfProcess, client: SesClient) -> None:
    """Forget every client with these connections.

    After a 1xx the answer is still to come, and would be read as that of the next call.
    """
    pool = here.connections.leave(client)
    for key in [one for one, made in list(here.clients.items()) if pool_of(made.client) is pool]:
        here.clients.pop(key, None)
