"""What can be known of a sender before a campaign leaves. Asks SES, sends nothing."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from postroom.errors import BadInputError
from postroom.model import AccountName
from postroom.settings import Sender, Settings
from worker.mailbox import mailbox
from worker.ses.account import AccountFacts, AccountUnreadableError, read_account
from worker.ses.asking import UnansweredError
from worker.ses.client import Clients, SesClient
from worker.ses.identity import ConfigurationSet, Identity, read_configuration_set, read_identity
from worker.ses.verdict import Kind

_FEEDBACK: Final = ("BOUNCE", "COMPLAINT")


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    """A campaign of this sender would be halted."""
    UNKNOWN = "unknown"
    """This SES does not say."""


class PreflightFinding(NamedTuple):
    level: Level
    what: str
    detail: str


class Preflight(NamedTuple):
    """The findings, and the account's limits in recipients; None is unknown."""

    findings: tuple[PreflightFinding, ...]
    rate: float | None = None
    quota: float | None = None
    """Per rolling 24 hours; infinite when SES sets none."""
    sent: float | None = None

    @property
    def good(self) -> bool:
        return all(one.level is not Level.PROBLEM for one in self.findings)


def preflight(settings: Settings, sender_name: str) -> Preflight:
    """Look at a sender, its account, identity and configuration set.

    Raises `BadInputError` when the settings have no such sender.
    """
    sender = settings.senders.get(sender_name)
    if sender is None:
        raise BadInputError(f"settings: no sender {sender_name!r}")
    try:
        from_ = mailbox(sender.from_, where=f"settings: senders.{sender_name}.from")
        client = Clients(settings).reading(AccountName(sender.account))
    except BadInputError as error:
        return Preflight((PreflightFinding(Level.PROBLEM, "settings", str(error)),))
    facts = _facts(client)
    about = _about_sender(client, sender, from_.address)
    if isinstance(facts, PreflightFinding):
        return Preflight((facts, *about))
    own = settings.accounts[sender.account]
    return Preflight(
        (*_about_account(facts), *about),
        rate=min(facts.max_send_rate * own.share, own.max_send_rate or float("inf")),
        quota=(facts.max_24_hour_send or 0.0) * own.share
        if facts.max_24_hour_send is not None
        else float("inf"),
        sent=facts.sent_last_24_hours,
    )


def _facts(client: SesClient) -> AccountFacts | PreflightFinding:
    try:
        return read_account(client)
    except AccountUnreadableError as error:
        return _unanswered("account", error)


def _about_account(facts: AccountFacts) -> Iterator[PreflightFinding]:
    if not facts.sending_enabled:
        yield PreflightFinding(Level.PROBLEM, "account", "sending is disabled for the account")
    if facts.enforcement_status == "SHUTDOWN":
        yield PreflightFinding(Level.PROBLEM, "account", "AWS has shut sending off for the account")
    elif facts.enforcement_status != "HEALTHY":
        detail = f"AWS reviews the account: {facts.enforcement_status}"
        yield PreflightFinding(Level.WARNING, "account", detail)
    if not facts.production_access:
        detail = "the account is in the sandbox: only verified recipients get mail"
        yield PreflightFinding(Level.WARNING, "account", detail)
    if facts.sending_enabled and facts.enforcement_status == "HEALTHY" and facts.production_access:
        yield PreflightFinding(Level.OK, "account", "may send")


def _about_sender(client: SesClient, sender: Sender, address: str) -> list[PreflightFinding]:
    default_set = ""
    if sender.identity_arn:
        detail = f"{address} belongs to another account: {sender.identity_arn}"
        findings = [PreflightFinding(Level.UNKNOWN, "identity", detail)]
    else:
        try:
            identity = read_identity(client, address)
        except UnansweredError as error:
            findings = [_unanswered("identity", error)]
        else:
            findings = list(_about_identity(identity, address, client.meta.region_name))
            default_set = identity.configuration_set if identity else ""
    return [*findings, *_about_set(client, sender.configuration_set or default_set)]


def _about_identity(
    identity: Identity | None, address: str, region: str
) -> Iterator[PreflightFinding]:
    if identity is None or not identity.verified:
        detail = f"the From address {address} is not verified in {region}"
        yield PreflightFinding(Level.PROBLEM, "identity", detail)
        return
    yield PreflightFinding(Level.OK, "identity", f"{identity.name} is verified in {region}")
    if not identity.dkim:
        detail = f"{identity.name} is not signed with DKIM: mailbox providers may refuse its mail"
        yield PreflightFinding(Level.WARNING, "dkim", detail)
    if identity.mail_from_status not in {"", "SUCCESS"}:
        detail = f"the custom MAIL FROM domain is {identity.mail_from_status}"
        yield PreflightFinding(Level.WARNING, "mail from", detail)


def _about_set(client: SesClient, name: str) -> Iterator[PreflightFinding]:
    if not name:
        detail = "none: no bounce or complaint will be heard of"
        yield PreflightFinding(Level.WARNING, "configuration set", detail)
        return
    try:
        found = read_configuration_set(client, name)
    except UnansweredError as error:
        yield _unanswered("configuration set", error)
    else:
        yield _about_found_set(found, name)


def _about_found_set(found: ConfigurationSet | None, name: str) -> PreflightFinding:
    if found is None:
        return PreflightFinding(Level.PROBLEM, "configuration set", f"{name} does not exist")
    if not found.sending_enabled:
        return PreflightFinding(Level.PROBLEM, "configuration set", f"sending is paused for {name}")
    unheard = [kind for kind in _FEEDBACK if kind not in found.events]
    if unheard:
        detail = f"{name} has no enabled destination for {' and '.join(unheard)} events"
        return PreflightFinding(Level.WARNING, "configuration set", detail)
    return PreflightFinding(Level.OK, "configuration set", f"{name} exists and tells of bounces")


def _unanswered(what: str, error: UnansweredError) -> PreflightFinding:
    needs_person = error.verdict.kind in {Kind.STOP_ACCOUNT, Kind.STOP_WORKER}
    return PreflightFinding(Level.PROBLEM if needs_person else Level.UNKNOWN, what, str(error))
