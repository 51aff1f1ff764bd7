"""What can be set, once: the command line and `POST /_simulator/settings` both read it here."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Final


class SettingError(ValueError):
    """A setting that does not exist or has a value of the wrong kind."""


def _setting(about: str, *, default: object, flag: str | None = None) -> Any:
    return field(default=default, metadata={"about": about, "flag": flag})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the simulated account behaves. Every field is a flag and a runtime setting."""

    rate: float = _setting("recipients a second; 0: unlimited, told as 1,000,000", default=0.0)
    burst_seconds: float = _setting("capacity of the rate bucket in seconds of rate", default=1.0)
    quota: int = _setting("recipients in a quota window; -1: unlimited", default=-1)
    quota_window: float = _setting("length of the rolling quota window in seconds", default=86400.0)
    quota_as_limit_exceeded: bool = _setting(
        "SendEmail over quota answers 400 LimitExceededException instead of 429", default=False
    )
    bulk_requests_per_second: float = _setting("limit of SendBulkEmail calls; 0: none", default=0.0)
    management_rate: float = _setting("limit of GetAccount calls a second; 0: none", default=1.0)
    limit_all_management: bool = _setting(
        "management_rate holds for every management operation, each by itself", default=False
    )
    latency_ms: float = _setting(
        "mean answer time, log-normal; half passes before accepting", default=0.0
    )
    latency_jitter_ms: float = _setting("standard deviation of the answer time", default=0.0)
    seed: int = _setting("seed of latencies and of faults with a probability", default=0)
    region: str = _setting("Region named in messages", default="eu-west-1")
    sending_enabled: bool = _setting("false: sends answer SendingPausedException", default=True)
    enforcement_status: str = _setting(
        "HEALTHY, PROBATION or SHUTDOWN; SHUTDOWN refuses sends as suspended", default="HEALTHY"
    )
    production_access: bool = _setting(
        "false: sandbox, a recipient must be a verified identity or a simulator address",
        default=True,
    )
    verify_identities: bool = _setting("refuse a From that is no verified identity", default=False)
    verified: tuple[str, ...] = _setting("a verified domain or address (repeatable)", default=())
    check_configuration_sets: bool = _setting(
        "refuse configuration sets not created", default=False
    )
    configuration_sets: tuple[str, ...] = _setting(
        "a configuration set that exists (repeatable)", default=(), flag="--configuration-set"
    )
    access_keys: tuple[str, ...] = _setting(
        "an access key id to let in (repeatable); none: all", default=(), flag="--access-key"
    )
    account_per_key: bool = _setting(
        "each access key has an account in each Region: rate, quota and request limits of its own",
        default=False,
    )
    campaign_tag: str = _setting("name of the tag that tells campaigns apart", default="campaign")
    mails_kept: int = _setting("mails kept whole for reading", default=1000)
    requests_kept: int = _setting("requests kept in the log", default=1000)

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
