"""Which AWS account and Region an account section of the settings really is."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from postroom import settings
from postroom.errors import BadInputError
from postroom.model import AccountName
from worker.ses.client import Clients

log = structlog.get_logger()

_AWS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_TEMPORARY: Final = "ASIA"
"""Begins an access key id that is another within hours: it names nobody.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerIdentity:
    """Two sections with the same name are one account at SES."""

    name: str
    sure: bool
    """False: STS did not answer, so that what was found before is better."""


class Whose:
    """Asks STS where it may be asked, once for each access key; else goes by the access key."""

    def __init__(self, clients: Clients) -> None:
        self._clients: Final = clients
        self._accounts: Final[dict[str, str]] = {}

    def identity(self, account: AccountName) -> CallerIdentity | None:
        """None when there is no telling. Nothing that goes wrong here is anybody's trouble."""
        try:
            client = self._clients.sending(account)
            key = self._clients.access_key(account)
        except (BadInputError, BotoCoreError, ClientError):
            return None
        if not key:
            return None
        region, endpoint = client.meta.region_name, client.meta.endpoint_url
        asked = _may_ask_sts(endpoint)
        if asked and (number := self._number(account, key)):
            return CallerIdentity(name=f"aws:{number}:{region}", sure=True)
        if key.startswith(_TEMPORARY):
            return None
        told = sha256(f"{endpoint}|{region}|{key}".encode()).hexdigest()[:24]
        return CallerIdentity(name=f"key:{told}", sure=not asked)

    def number(self, account: AccountName) -> str:
        """Return the number of the AWS account that is sent by; empty when there is no telling."""
        identity = self.identity(account)
        kind, _, rest = identity.name.partition(":") if identity else ("", "", "")
        return rest.partition(":")[0] if kind == "aws" else ""

    def _number(self, account: AccountName, key: str) -> str:
        if key not in self._accounts:
            self._accounts[key] = self._asked(account)
        return self._accounts[key]

    def _asked(self, account: AccountName) -> str:
        """Empty when STS did not tell, which is not asked again: the way to it may be closed."""
        try:
            answer: Any = self._clients.security(account).get_caller_identity()
            return str(answer["Account"])
        except (BotoCoreError, ClientError, KeyError, ValueError) as error:
            log.info("account.unidentified", account=account, reason=type(error).__name__)
            return ""


def _may_ask_sts(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return host.endswith(_AWS) or bool(settings.environment().get("AWS_ENDPOINT_URL_STS"))
