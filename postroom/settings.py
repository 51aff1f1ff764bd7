"""Settings: config/default.toml, then the file POSTROOM_CONFIG names, then the environment.

Read once when a process starts and handed down; nothing else reads the environment.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from postroom.errors import BadInputError

_HERE: Final = Path(__file__).parent
_DEFAULTS: Final = (_HERE / "default.toml", _HERE.parent / "config" / "default.toml")

_LEASE_MARGIN_SECONDS: Final = 1.0
_LEAST_CALL_AGE_SECONDS: Final = 1.0

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the settings file: an unknown key is refused by name."""


class Redis(_Section, frozen=True):
    url: str
    prefix: str
    timeout_seconds: float
    allow_eviction: bool


class Store(_Section, frozen=True):
    retention_seconds: int
    message_retention_seconds: int
    draft_seconds: int


class Producer(_Section, frozen=True):
    slots: int
    lease_seconds: float
    max_crashes: int
    source_folder: str
    source_buckets: list[str]


class Worker(_Section, frozen=True):
    slots: int
    lease_seconds: float
    slice_seconds: float
    max_wait_seconds: float
    grace_seconds: float
    unfit_seconds: float
    single_calls: int
    bulk_call_size: int
    bulk_call_bytes: int


class Retry(_Section, frozen=True):
    max_attempts: int
    base_seconds: float
    cap_seconds: float
    park_seconds: float
    max_parks: int
    max_crashes: int


class Ses(_Section, frozen=True):
    connect_timeout_seconds: float
    read_timeout_seconds: float


class Limiter(_Section, frozen=True):
    burst_seconds: float
    decrease: float
    increase_per_second: float
    window_cells: int
    refresh_seconds: float
    bulk_rest_seconds: float
    transactional_share: float


class Dispatch(_Section, frozen=True):
    window: float
    grace_seconds: float
    tick_seconds: float


class Log(_Section, frozen=True):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Account(_Section, frozen=True):
    """One AWS account in one Region: it owns one rate, one quota, one budget."""

    region: str
    profile: str = ""
    role_arn: str = ""
    endpoint_url: str = ""
    max_send_rate: float | None = None
    share: float = 1.0
    send_mode: Literal["auto", "bulk", "single"] = "auto"
    quota_window_seconds: float = 86_400.0
    bulk_requests_per_second: float | None = None


class Sender(_Section, frozen=True, rename={"from_": "from"}):
    """A named From identity on an account."""

    account: str
    from_: str
    reply_to: list[str] = []
    configuration_set: str = ""
    identity_arn: str = ""


class Settings(_Section, frozen=True):
    redis: Redis
    store: Store
    producer: Producer
    worker: Worker
    retry: Retry
    ses: Ses
    limiter: Limiter
    dispatch: Dispatch
    log: Log
    accounts: dict[str, Account] = {}
    senders: dict[str, Sender] = {}

    @property
    def call_age_seconds(self) -> float:
        """How long after `sending` was written a call may still leave: it is over in its lease.

        Twice to connect, as a host may have two addresses, or TLS may take as long again.
        """
        longest = self.ses.read_timeout_seconds + 2 * self.ses.connect_timeout_seconds
        return self.worker.lease_seconds - longest - _LEASE_MARGIN_SECONDS


def load(environ: Mapping[str, str] = os.environ) -> Settings:  # noqa: TID251 - its one home
    """Read the settings of this process.

    Raises `BadInputError` with the file or variable, the key and what is wrong with it.
    """
    tree = _read(next(path for path in _DEFAULTS if path.exists()))
    overlay = environ.get("POSTROOM_CONFIG", "")
    if overlay:
        tree = _laid_over(tree, _read(Path(overlay)))
    tree = _laid_over(tree, _from_environment(environ))
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise BadInputError(f"settings ({overlay or 'defaults'}): {error}") from None
    _check(settings)
    return settings


def environment() -> dict[str, str]:
    """Return this process's environment, for the processes that it starts."""
    return dict(os.environ)  # noqa: TID251 - its one home


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"settings file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"settings file {path}: {error}") from None


def _laid_over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    laid = dict(below)
    for key, value in above.items():
        under = laid.get(key, {})
        both = isinstance(value, dict) and isinstance(under, dict)
        laid[key] = _laid_over(under, value) if both else value
    return laid


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    if url := environ.get("POSTROOM_REDIS_URL"):
        tree["redis"] = {"url": url}
    for name, value in environ.items():
        if name.startswith("POSTROOM_") and "__" in name:
            *sections, key = name.removeprefix("POSTROOM_").lower().split("__")
            table = tree
            for section in sections:
                table = table.setdefault(section, {})
            table[key] = value
    return tree


def _check(settings: Settings) -> None:
    for name, sender in settings.senders.items():
        if sender.account not in settings.accounts:
            raise BadInputError(f"settings: senders.{name}.account: no account {sender.account!r}")
    for name, account in settings.accounts.items():
        _check_account(name, account)
    if not 0 <= settings.limiter.transactional_share < 1:
        raise BadInputError("settings: limiter.transactional_share must be from 0 to below 1")
    if settings.call_age_seconds < _LEAST_CALL_AGE_SECONDS:
        least = _LEAST_CALL_AGE_SECONDS + settings.worker.lease_seconds - settings.call_age_seconds
        raise BadInputError(
            f"settings: worker.lease_seconds must be at least {least:g} s, so that a call is over "
            "before its lease lapses: ses.read_timeout_seconds, twice ses.connect_timeout_seconds "
            "and 2 s"
        )


def _check_account(name: str, account: Account) -> None:
    if not _NAME.fullmatch(name):
        raise BadInputError(f"settings: accounts.{name}: use letters, digits, _ and - only")
    if not 0 < account.share <= 1:
        raise BadInputError(f"settings: accounts.{name}.share must be above 0, at most 1")
    if account.max_send_rate is not None and account.max_send_rate <= 0:
        raise BadInputError(f"settings: accounts.{name}.max_send_rate must be above 0")
