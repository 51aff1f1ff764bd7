"""What can be set, once: the command line and `POST /_simulator/settings` both read it here."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Final


class SettingError(ValueError):
    """A setting that does not exist or has a value of the wrong kind."""


def _setting(default: object, about: str, *, flag: str | None = None) -> Any:
    return field(default=default, metadata={"about": about, "flag": flag})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the simulated account behaves. Every field is a flag and a runtime setting."""

    rate: float = _setting(0.0, "recipients a second; 0: unlimited, told as 1,000,000")
    burst_seconds: float = _setting(1.0, "capacity of the rate bucket in seconds of rate")
    quota: int = _setting(-1, "recipients in a quota window; -1: unlimited")
    quota_window: float = _setting(86400.0, "length of the rolling quota window in seconds")
    quota_as_limit_exceeded: bool = _setting(
        False, "SendEmail over quota answers 400 LimitExceededException instead of 429"
    )
    bulk_requests_per_second: float = _setting(0.0, "limit of SendBulkEmail calls; 0: none")
    management_rate: float = _setting(1.0, "limit of GetAccount calls a second; 0: none")
    limit_all_management: bool = _setting(
        False, "management_rate holds for every management operation, each by itself"
    )
    latency_ms: float = _setting(0.0, "mean answer time, log-normal; half passes before accepting")
    latency_jitter_ms: float = _setting(0.0, "standard deviation of the answer time")
    seed: int = _setting(0, "seed of latencies and of faults with a probability")
    region: str = _setting("eu-west-1", "Region named in messages")
    sending_enabled: bool = _setting(True, "false: sends answer SendingPausedException")
    enforcement_status: str = _setting(
        "HEALTHY", "HEALTHY, PROBATION or SHUTDOWN; SHUTDOWN refuses sends as suspended"
    )
    production_access: bool = _setting(
        True, "false: sandbox, a recipient must be a verified identity or a simulator address"
    )
    verify_identities: bool = _setting(False, "refuse a From that is no verified identity")
    verified: tuple[str, ...] = _setting((), "a verified domain or address (repeatable)")
    check_configuration_sets: bool = _setting(False, "refuse configuration sets not created")
    configuration_sets: tuple[str, ...] = _setting(
        (), "a configuration set that exists (repeatable)", flag="--configuration-set"
    )
    access_keys: tuple[str, ...] = _setting(
        (), "an access key id to let in (repeatable); none: all", flag="--access-key"
    )
    campaign_tag: str = _setting("campaign", "name of the tag that tells campaigns apart")
    mails_kept: int = _setting(1000, "mails kept whole for reading")
    requests_kept: int = _setting(1000, "requests kept in the log")

    def __post_init__(self) -> None:
        for name in ("rate", "burst_seconds", "bulk_requests_per_second", "management_rate"):
            _at_least_zero(name, getattr(self, name))
        for name in ("latency_ms", "latency_jitter_ms", "mails_kept", "requests_kept"):
            _at_least_zero(name, getattr(self, name))
        if self.quota_window <= 0:
            raise SettingError("quota_window must be above 0")


def _at_least_zero(name: str, value: float) -> None:
    if value < 0:
        raise SettingError(f"{name} must not be negative")


FIELDS: Final[Mapping[str, "Field[Any]"]] = {one.name: one for one in fields(Settings)}


_FIXED: Final = ("seed", "mails_kept", "requests_kept")


def changed_while_running(settings: Settings, values: Mapping[str, object]) -> Settings:
    """As `changed`, but a value that only counts at the start is refused, not silently ignored."""
    for name in _FIXED:
        if name in values:
            raise SettingError(f"{name} is fixed when the simulator starts")
    return changed(settings, values)


def changed(settings: Settings, values: Mapping[str, object]) -> Settings:
    """`settings` with `values` over it. Raises `SettingError` naming the first bad one."""
    converted: dict[str, Any] = {name: _converted(name, value) for name, value in values.items()}
    return replace(settings, **converted)


def _converted(name: str, value: object) -> object:
    if name not in FIELDS:
        raise SettingError(f"no setting named {name!r}; there are: {', '.join(FIELDS)}")
    kind = type(FIELDS[name].default)
    if kind is tuple and isinstance(value, (list, tuple)):
        if all(isinstance(one, str) for one in value):
            return tuple(value)
    elif kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif type(value) is kind:
        return value
    wanted = "a list of texts" if kind is tuple else kind.__name__
    raise SettingError(f"{name} must be {wanted}, not {value!r}")
