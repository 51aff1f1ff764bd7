"""Verified identities: who may send, and what GetEmailIdentity tells of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from simulator.errors import SesError, not_found
from simulator.settings import Settings

_SIMULATOR_DOMAIN = "simulator.amazonses.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A domain or an address."""

    name: str
    verified: bool
    dkim_status: str = "SUCCESS"
    dkim_signing_enabled: bool = True
    mail_from_domain: str = ""
    mail_from_status: str = "SUCCESS"
    configuration_set: str = ""

    @property
    def kind(self) -> str:
        return "EMAIL_ADDRESS" if "@" in self.name else "DOMAIN"

    @property
    def verification_status(self) -> str:
        return "SUCCESS" if self.verified else "PENDING"


class Identities:
    """The identities of the account; with `verify_identities` off, every name is a verified one."""

    def __init__(self, settings: Settings) -> None:
        self._lenient = True
        self._listed: frozenset[str] = frozenset()
        self._known: dict[str, Identity] = {}
        self.change(settings)

    def change(self, settings: Settings) -> None:
        """Take over new settings: names listed as verified become identities."""
        self._lenient = not settings.verify_identities
        for name in self._listed.difference(settings.verified):
            self._known.pop(_key(name), None)
        self._listed = frozenset(settings.verified)
        for name in settings.verified:
            self._known[_key(name)] = _verified(name)

    def create(self, name: str, configuration_set: str) -> Identity:
        if _key(name) in self._known:
            raise SesError(400, "AlreadyExistsException", f"Email identity {name} already exist.")
        made = Identity(
            name=name,
            verified=self._lenient,
            dkim_status="SUCCESS" if self._lenient else "PENDING",
            configuration_set=configuration_set,
        )
        self._known[_key(name)] = made
        return made

    def get(self, name: str) -> Identity:
        found = self._known.get(_key(name))
        if found is None and self._lenient:
            return _verified(name)
        if found is None:
            raise not_found(f"Email identity {name} does not exist.")
        return found

    def delete(self, name: str) -> None:
        if self._known.pop(_key(name), None) is None:
            raise not_found(f"Email identity {name} does not exist.")

    def update(self, name: str, changes: Mapping[str, object]) -> Identity:
        """Script an identity for a test; makes it when it is not there. Raises `ValueError`."""
        before = self._known.get(_key(name)) or _verified(name)
        for member, value in changes.items():
            if type(value) is not type(getattr(before, member, None)):
                raise ValueError(f"an identity has no {member!r} of {value!r}")
        self._known[_key(name)] = replace(before, **changes)  # type: ignore[arg-type]
        return self._known[_key(name)]

    def all(self) -> list[Identity]:
        return [self._known[key] for key in sorted(self._known)]

    def may_send(self, address: str) -> bool:
        """Whether mail may come from `address`."""
        return self.owns(address) or (self._lenient and not self._denied(address))

    def owns(self, address: str) -> bool:
        """Whether the address, or else its domain or a parent of it, is a verified identity."""
        own = self._known.get(_key(address))
        if own is not None:
            return own.verified
        return any(one.verified for one in self._domains(address))

    def default_set(self, address: str) -> str:
        """The configuration set used when a call from `address` names none."""
        own = self._known.get(_key(address))
        candidates = [own] if own else self._domains(address)
        return next((one.configuration_set for one in candidates), "")

    def mail_from_broken(self, address: str) -> bool:
        return any(
            one.mail_from_domain and one.mail_from_status == "FAILED"
            for one in self._domains(address)
        )

    def _denied(self, address: str) -> bool:
        own = self._known.get(_key(address))
        return any(not one.verified for one in ([own] if own else self._domains(address)))

    def _domains(self, address: str) -> list[Identity]:
        labels = address.rpartition("@")[2].lower().split(".")
        names = (".".join(labels[start:]) for start in range(len(labels)))
        return [self._known[name] for name in names if name in self._known]


def described(identity: Identity) -> Mapping[str, object]:
    """The answer of GetEmailIdentity."""
    mail_from = {
        "MailFromDomain": identity.mail_from_domain,
        "MailFromDomainStatus": identity.mail_from_status,
        "BehaviorOnMxFailure": "REJECT_MESSAGE",
    }
    return {
        "IdentityType": identity.kind,
        "FeedbackForwardingStatus": True,
        "VerifiedForSendingStatus": identity.verified,
        "VerificationStatus": identity.verification_status,
        "DkimAttributes": dkim(identity),
        **({"MailFromAttributes": mail_from} if identity.mail_from_domain else {}),
        "Policies": {},
        "Tags": [],
        "VerificationInfo": {},
        **(
            {"ConfigurationSetName": identity.configuration_set}
            if identity.configuration_set
            else {}
        ),
    }


def dkim(identity: Identity) -> Mapping[str, object]:
    return {
        "SigningEnabled": identity.dkim_signing_enabled,
        "Status": identity.dkim_status,
        "Tokens": [f"simulated{number}" for number in (1, 2, 3)],
        "SigningAttributesOrigin": "AWS_SES",
        "CurrentSigningKeyLength": "RSA_2048_BIT",
        "NextSigningKeyLength": "RSA_2048_BIT",
    }


def is_simulator_address(address: str) -> bool:
    """`bounce+label@simulator.amazonses.com` and its like: accepted, outside of the quota."""
    local, _, domain = address.rpartition("@")
    return domain.lower() == _SIMULATOR_DOMAIN and local.partition("+")[0].lower() in _MAILBOXES


_MAILBOXES = frozenset({"success", "bounce", "ooto", "complaint", "suppressionlist"})


def outside_sandbox(identities: Identities, addresses: Iterable[str]) -> list[str]:
    """The recipients that a sandboxed account may not write to."""
    return [one for one in addresses if not (is_simulator_address(one) or identities.owns(one))]


def _verified(name: str) -> Identity:
    return Identity(name=name, verified=True)


def _key(name: str) -> str:
    local, at, domain = name.rpartition("@")
    return f"{local}{at}{domain.lower()}"
