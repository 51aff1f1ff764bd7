"""What SES tells of an account: its rate, its quota, whether it may send."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from postroom.errors import BadInputError
from postroom.model import AccountName
from worker.ses.asking import UnansweredError, ask
from worker.ses.client import Clients, SesClient
from worker.ses.verdict import Kind, Verdict

_UNLIMITED: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """One reading of GetAccount. Rates are recipients a second; None is unlimited."""

    max_send_rate: float
    max_24_hour_send: float | None
    sent_last_24_hours: float
    sending_enabled: bool
    production_access: bool
    enforcement_status: str


class AccountUnreadableError(UnansweredError):
    """GetAccount brought nothing usable."""


def read_account(client: SesClient) -> AccountFacts:
    """Ask SES about the account of a client that reads. Raises `AccountUnreadableError`."""
    try:
        return _facts(ask("GetAccount", client.get_account, client.meta.region_name))
    except UnansweredError as error:
        raise AccountUnreadableError(error.verdict) from None
    except (AttributeError, KeyError, TypeError, ValueError):
        unknown = Verdict(Kind.STOP_CAMPAIGN, "SES answered GetAccount without a sending quota")
        raise AccountUnreadableError(unknown) from None


def read_account_of(clients: Clients, account: AccountName) -> AccountFacts:
    """Ask SES about an account of the settings; once more where its credentials were changed.

    Raises `AccountUnreadableError`.
    """
    try:
        return read_account(clients.sending(account))
    except BadInputError as error:
        raise AccountUnreadableError(Verdict(Kind.STOP_WORKER, str(error))) from None
    except AccountUnreadableError as error:
        if error.verdict.kind is not Kind.STOP_ACCOUNT or not clients.changed(account):
            raise
    return read_account(clients.sending(account))


def _facts(answer: Mapping[str, Any]) -> AccountFacts:
    quota = answer["SendQuota"]
    most = float(quota["Max24HourSend"])
    return AccountFacts(
        max_send_rate=float(quota["MaxSendRate"]),
        max_24_hour_send=None if most == _UNLIMITED else most,
        sent_last_24_hours=float(quota.get("SentLast24Hours") or 0.0),
        sending_enabled=bool(answer.get("SendingEnabled", True)),
        production_access=bool(answer.get("ProductionAccessEnabled", True)),
        enforcement_status=str(answer.get("EnforcementStatus") or "HEALTHY"),
    )
