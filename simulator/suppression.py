"""The account's suppression list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from simulator.errors import bad_request, constraint, not_found

_REASONS: Final = ("BOUNCE", "COMPLAINT")


@dataclass(frozen=True, slots=True)
class Suppressed:
    address: str
    reason: str
    at: float


class SuppressionList:
    """Management calls match the stored form exactly; a send matches in any case, as on SES."""

    def __init__(self) -> None:
        self._by_address: dict[str, Suppressed] = {}
        self._reasons_by_folded: dict[str, dict[str, str]] = {}

    def __len__(self) -> int:
        return len(self._by_address)

    def put(self, address: str, reason: str, now: float) -> None:
        if reason not in _REASONS:
            raise constraint("reason", f"Member must satisfy enum value set: {list(_REASONS)}")
        stored = _stored_form(address)
        self._by_address[stored] = Suppressed(stored, reason, now)
        self._reasons_by_folded.setdefault(stored.lower(), {})[stored] = reason

    def get(self, address: str) -> Suppressed:
        found = self._by_address.get(_stored_form(address))
        if found is None:
            raise not_found(f"Email address {address} does not exist on your suppression list.")
        return found

    def delete(self, address: str) -> None:
        found = self.get(address)
        del self._by_address[found.address]
        forms = self._reasons_by_folded[found.address.lower()]
        del forms[found.address]
        if not forms:
            del self._reasons_by_folded[found.address.lower()]

    def blocks(self, address: str, reasons: Sequence[str]) -> bool:
        """Whether mail to `address` is withheld while `reasons` are in force."""
        if not self._reasons_by_folded:
            return False
        forms = self._reasons_by_folded.get(address.lower())
        return forms is not None and any(one in reasons for one in forms.values())

    def page(
        self, reasons: Sequence[str], since: float, until: float, token: str, size: int
    ) -> tuple[list[Suppressed], str | None]:
        """One page in a stable order, and the token of the next."""
        chosen = sorted(
            (one for one in self._by_address.values() if since <= one.at <= until),
            key=lambda one: one.address,
        )
        if reasons:
            chosen = [one for one in chosen if one.reason in reasons]
        if token and not token.isdigit():
            raise bad_request("The specified token is invalid.")
        start = int(token or 0)
        end = start + size
        return chosen[start:end], str(end) if end < len(chosen) else None


def _stored_form(address: str) -> str:
    local, at, domain = address.strip().rpartition("@")
    return f"{local}{at}{domain.lower()}"
