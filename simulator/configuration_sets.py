"""Configuration sets and their event destinations, as far as a sender looks at them."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from simulator.errors import SesError, constraint, not_found
from simulator.message import Json, elements, member, texts
from simulator.settings import Settings

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EVENTS: Final = ("SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY", "DELIVERY_DELAY")
_MAX_DESTINATIONS: Final = 10


class ConfigurationSets:
    """What exists; with `check_configuration_sets` off, every name does."""

    def __init__(self, settings: Settings) -> None:
        self._lenient = True
        self._region = settings.region
        self._sets: dict[str, dict[str, object]] = {}
        self._destinations: dict[str, dict[str, Json]] = {}
        self.change(settings)

    def change(self, settings: Settings) -> None:
        """Take over new settings: listed names exist, with a destination for their events."""
        self._lenient = not settings.check_configuration_sets
        for name in settings.configuration_sets:
            self._sets.setdefault(name, {})
            self._destinations.setdefault(name, {"simulator": self._default_destination()})

    def create(self, root: Json) -> None:
        name = str(root.get("ConfigurationSetName") or "")
        if not _NAME.fullmatch(name):
            raise constraint("configurationSetName", r"Must match ^[A-Za-z0-9_-]{1,64}$")
        if name in self._sets:
            raise SesError(
                400, "AlreadyExistsException", f"Configuration set {name} already exists."
            )
        self._sets[name] = dict(root)
        self._destinations[name] = {}

    def get(self, name: str) -> Mapping[str, object]:
        sending = {"SendingEnabled": self.sending_enabled(name)}
        return {
            "ReputationOptions": {"ReputationMetricsEnabled": True},
            "DeliveryOptions": {"TlsPolicy": "OPTIONAL"},
            "Tags": [],
            **self._found(name),
            "SendingOptions": sending,
            "ConfigurationSetName": name,
        }

    def delete(self, name: str) -> None:
        if self._sets.pop(name, None) is None:
            raise _missing(name)
        self._destinations.pop(name, None)

    def names(self) -> list[str]:
        return sorted(self._sets)

    def put_sending(self, name: str, *, enabled: bool) -> None:
        found = dict(self._found(name))
        self._sets[name] = found | {"SendingOptions": {"SendingEnabled": enabled}}

    def sending_enabled(self, name: str) -> bool:
        return member(self._found(name), "SendingOptions").get("SendingEnabled") is not False

    def suppressed_reasons(self, name: str) -> Sequence[str] | None:
        """The set's own choice, which goes before the account's; None when it makes none."""
        options = member(self._found(name), "SuppressionOptions")
        return texts(options, "SuppressedReasons") if "SuppressedReasons" in options else None

    def destinations(self, name: str) -> list[Mapping[str, object]]:
        self._found(name)
        known = self._destinations.get(name, {"simulator": self._default_destination()})
        return [{"Name": one, **known[one]} for one in known]

    def put_destination(self, name: str, destination: str, about: Json) -> None:
        self._found(name)
        known = self._destinations.setdefault(name, {})
        if destination not in known and len(known) >= _MAX_DESTINATIONS:
            raise SesError(400, "LimitExceededException", "Too many event destinations.")
        elements(about, "MatchingEventTypes")
        known[destination] = {"Enabled": False, "MatchingEventTypes": [], **about}

    def delete_destination(self, name: str, destination: str) -> None:
        self._found(name)
        if self._destinations.get(name, {}).pop(destination, None) is None:
            raise not_found(f"Event destination {destination} does not exist.")

    def _found(self, name: str) -> Mapping[str, object]:
        found = self._sets.get(name)
        if found is None and not self._lenient:
            raise _missing(name)
        return found or {}

    def _default_destination(self) -> Json:
        topic = f"arn:aws:sns:{self._region}:111122223333:simulator-events"
        return {
            "Enabled": True,
            "MatchingEventTypes": list(_EVENTS),
            "SnsDestination": {"TopicArn": topic},
        }


def _missing(name: str) -> SesError:
    return not_found(f"Configuration set {name} does not exist.")
