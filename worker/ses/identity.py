"""What SES knows of a sender: its identity and its configuration set."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from worker.ses.asking import NotThereError, ask
from worker.ses.client import SesClient

_SUCCESS: Final = "SUCCESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One verified, or not yet verified, address or domain."""

    name: str
    verified: bool
    dkim: bool
    mail_from_status: str
    """Of the custom MAIL FROM domain; empty without one."""
    configuration_set: str
    """The set that SES takes when a call names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationSet:
    sending_enabled: bool
    events: frozenset[str]
    """Event types that some enabled destination receives: BOUNCE, COMPLAINT and others."""


def read_identity(client: SesClient, address: str) -> Identity | None:
    """Return the identity that lets SES send for an address, else the nearest one it knows.

    An address needs no identity of its own when its domain, or one above it, has one.
    Raises `UnansweredError`.
    """
    found: Identity | None = None
    for name in _covering(address):
        try:
            answer = ask(
                "GetEmailIdentity",
                client.get_email_identity,
                client.meta.region_name,
                EmailIdentity=name,
            )
        except NotThereError:
            continue
        identity = _identity(name, answer)
        if identity.verified:
            return identity
        found = found or identity
    return found


def read_configuration_set(client: SesClient, name: str) -> ConfigurationSet | None:
    """Return what SES says of a configuration set, None when there is none of that name.

    Raises `UnansweredError`.
    """
    region = client.meta.region_name
    try:
        told = ask(
            "GetConfigurationSet", client.get_configuration_set, region, ConfigurationSetName=name
        )
        events = ask(
            "GetConfigurationSetEventDestinations",
            client.get_configuration_set_event_destinations,
            region,
            ConfigurationSetName=name,
        )
    except NotThereError:
        return None
    enabled = [one for one in events.get("EventDestinations") or () if one.get("Enabled")]
    return ConfigurationSet(
        sending_enabled=(told.get("SendingOptions") or {}).get("SendingEnabled", True) is not False,
        events=frozenset(kind for one in enabled for kind in one.get("MatchingEventTypes") or ()),
    )


def _covering(address: str) -> Iterator[str]:
    yield address
    labels = address.rpartition("@")[2].split(".")
    for at in range(len(labels) - 1):
        yield ".".join(labels[at:])


def _identity(name: str, answer: Mapping[str, Any]) -> Identity:
    dkim = answer.get("DkimAttributes") or {}
    mail_from = answer.get("MailFromAttributes") or {}
    return Identity(
        name=name,
        verified=bool(answer.get("VerifiedForSendingStatus")),
        dkim=bool(dkim.get("SigningEnabled")) and dkim.get("Status") == _SUCCESS,
        mail_from_status=str(mail_from.get("MailFromDomainStatus") or "")
        if mail_from.get("MailFromDomain")
        else "",
        configuration_set=str(answer.get("ConfigurationSetName") or ""),
    )
