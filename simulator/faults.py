"""Scripted and seeded faults: what goes wrong, for which calls, how often."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Final

from simulator.errors import Refusal, Status


class FaultError(ValueError):
    """A fault that cannot be armed; the text says why."""


class Kind(StrEnum):
    """What a fault does. `_after` means: once the mail is accepted, so the sender cannot know."""

    THROTTLE = "throttle"
    RATE_EXCEEDED = "rate_exceeded"
    QUOTA = "quota"
    HTTP_500 = "http_500"
    HTTP_503 = "http_503"
    HTTP_500_AFTER = "http_500_after"
    HTTP_503_AFTER = "http_503_after"
    CUT_BEFORE = "cut_before"
    CUT_AFTER = "cut_after"
    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    GARBAGE_BEFORE = "garbage_before"
    GARBAGE_AFTER = "garbage_after"
    ENTRY = "entry"
    FEWER_RESULTS = "fewer_results"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    BAD_CREDENTIALS = "bad_credentials"
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 - the name of a fault
    BAD_SIGNATURE = "bad_signature"
    ACCESS_DENIED = "access_denied"
    IDENTITY_NOT_VERIFIED = "identity_not_verified"
    MAIL_FROM_NOT_VERIFIED = "mail_from_not_verified"
    CONFIGURATION_SET_NOT_FOUND = "configuration_set_not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule. It strikes a call (of an `entry` fault: a message) that meets all its conditions.

    A call counts against `skip` and `times` only when `operation`, `address` and the time fit.
    """

    kind: Kind
    operation: str = ""  # such as SendBulkEmail; empty: every send, for credentials every call
    address: str = ""  # regular expression searched in each recipient
    probability: float = 1.0
    skip: int = 0  # the first calls that go through
    times: int = 0  # how many calls it strikes; 0: no end
    from_seconds: float = 0.0  # counted from when the fault was armed
    until_seconds: float = 0.0  # 0: no end
    seconds: float = 60.0  # how long a hang lasts
    status: str = Status.TRANSIENT_FAILURE  # of an `entry` fault
    error: str = ""  # text of an `entry` fault
    missing: int = 1  # results left out by `fewer_results`


_SENDS: Final = frozenset({"SendEmail", "SendBulkEmail"})
_EVERY_OPERATION: Final = frozenset(
    {Kind.BAD_CREDENTIALS, Kind.EXPIRED_TOKEN, Kind.BAD_SIGNATURE, Kind.ACCESS_DENIED}
)


def read_fault(given: Mapping[str, object]) -> Fault:
    """A fault from TOML or JSON. Raises `FaultError`."""
    values: dict[str, Any] = {}
    known = {one.name: one for one in fields(Fault)}
    for name, value in given.items():
        if name not in known:
            raise FaultError(f"no fault member {name!r}; there are: {', '.join(known)}")
        default = known[name].default
        if default is not MISSING and not _fits(default, value):
            raise FaultError(f"{name} must be {type(default).__name__}, not {value!r}")
        values[name] = value
    try:
        values["kind"] = Kind(str(given.get("kind")))
        re.compile(values.get("address", ""))
    except (ValueError, re.error) as bad:
        raise FaultError(f"{bad}; kinds are: {', '.join(Kind)}") from None
    return Fault(**values)


def _fits(default: object, value: object) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(default, float):
        return isinstance(value, (int, float))
    return isinstance(value, str if isinstance(default, str) else int)


class _Armed:
    def __init__(self, fault: Fault, now: float) -> None:
        self.fault = fault
        self.armed_at = now
        self.seen = 0
        self.struck = 0
        self._pattern = re.compile(fault.address) if fault.address else None

    def strikes(
        self,
        operation: str,
        addresses: Callable[[], Sequence[str]],
        now: float,
        draw: random.Random,
    ) -> bool:
        fault = self.fault
        if not self._covers(operation) or not self._is_time(now - self.armed_at):
            return False
        if self._pattern and not any(map(self._pattern.search, addresses())):
            return False
        self.seen += 1
        if self.seen <= fault.skip or (fault.times and self.struck >= fault.times):
            return False
        if fault.probability < 1.0 and draw.random() >= fault.probability:
            return False
        self.struck += 1
        return True

    def _covers(self, operation: str) -> bool:
        if self.fault.operation:
            return self.fault.operation == operation
        return operation in _SENDS or self.fault.kind in _EVERY_OPERATION

    def _is_time(self, age: float) -> bool:
        fault = self.fault
        return age >= fault.from_seconds and not (
            fault.until_seconds and age >= fault.until_seconds
        )


class Faults:
    """The armed faults, in order; the first that strikes a call is the only one to."""

    def __init__(self, seed: int) -> None:
        self._calls: list[_Armed] = []
        self._entries: list[_Armed] = []
        self._draw = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def arm(self, fault: Fault, now: float) -> None:
        (self._entries if fault.kind is Kind.ENTRY else self._calls).append(_Armed(fault, now))

    def clear(self) -> None:
        self._calls.clear()
        self._entries.clear()

    def of_call(
        self, operation: str, addresses: Callable[[], Sequence[str]], now: float
    ) -> Fault | None:
        return self._first(self._calls, operation, addresses, now)

    def of_entry(self, operation: str, addresses: Sequence[str], now: float) -> Refusal | None:
        if not self._entries:
            return None
        fault = self._first(self._entries, operation, lambda: addresses, now)
        return None if fault is None else Refusal(fault.status, fault.error or None)

    def described(self) -> list[dict[str, object]]:
        return [
            {**asdict(one.fault), "seen": one.seen, "struck": one.struck}
            for one in self._calls + self._entries
        ]

    def _first(
        self,
        armed: list[_Armed],
        operation: str,
        addresses: Callable[[], Sequence[str]],
        now: float,
    ) -> Fault | None:
        for one in armed:
            if one.strikes(operation, addresses, now, self._draw):
                return one.fault
        return None
