"""Settings: config/default.toml, then the file POSTROOM_CONFIG names, then the environment.

Read once when a process starts and handed down; nothing else reads the environment.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from postroom import ranges, redis_url
from postroom.layers import Layer, laid_over, of_file, of_variables, refusal
from postroom.ranges import Fault

_HERE: Final = Path(__file__).parent
_DEFAULTS: Final = (_HERE / "default.toml", _HERE.parent / "config" / "default.toml")

_LEASE_MARGIN_SECONDS: Final = 1.0
_LEAST_CALL_AGE_SECONDS: Final = 1.0

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_UNKNOWN: Final = re.compile(r"unknown field `(.+)`", re.DOTALL)
_MISSING: Final = re.compile(r"missing required field `(.+)`", re.DOTALL)


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
    raw_message_bytes: int
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


_TABLES: Final[Mapping[str, type[_Section]]] = {
    **{one.__name__.lower(): one for one in (Redis, Store, Producer, Worker, Retry, Ses)},
    **{one.__name__.lower(): one for one in (Limiter, Dispatch, Log)},
    "accounts[...]": Account,
    "senders[...]": Sender,
}


def load(environ: Mapping[str, str] = os.environ) -> Settings:  # noqa: TID251 - its one home
    """Read the settings of this process.

    Raises `BadInputError` with the key, the file or variable it came from, and what is wrong.
    """
    layers = [of_file(next(path for path in _DEFAULTS if path.exists()))]
    if overlay := environ.get("POSTROOM_CONFIG", ""):
        layers.append(of_file(Path(overlay)))
    layers += of_variables(environ)
    return checked(layers)


def environment() -> dict[str, str]:
    """Return this process's environment, for the processes that it starts."""
    return dict(os.environ)  # noqa: TID251 - its one home


def checked(layers: Sequence[Layer]) -> Settings:
    """Lay settings over each other, the last one on top. Raises `BadInputError`."""
    tree: dict[str, Any] = {}
    for layer in layers:
        tree = laid_over(tree, layer.tree)
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise refusal(layers, *_found(tree, str(error))) from None
    for fault in chain(ranges.faults(msgspec.to_builtins(settings)), _references(settings)):
        raise refusal(layers, fault.name, fault.words)
    redis_url.checked(settings.redis.url)
    return settings


def _found(tree: Mapping[str, Any], said: str) -> tuple[str, str]:
    """Return the name of the setting that msgspec refused, and what is wrong with it."""
    what, _, path = said.partition(" - at `$")
    name, kind = path.strip(".`"), _TABLES.get(path.strip(".`"))
    section, inside, _ = name.partition("[...]")
    if inside:
        # msgspec does not say which of them.
        name, kind, what = _found_among(tree[section], section, what)
    if unknown := _UNKNOWN.search(what):
        known = [field.encode_name for field in msgspec.structs.fields(kind or Settings)]
        near = get_close_matches(unknown[1], known, n=1)
        words = "is no setting" + (f"; did you mean {near[0]}?" if near else "")
        return f"{name}.{unknown[1]}".strip("."), words
    if missing := _MISSING.search(what):
        return f"{name}.{missing[1]}".strip("."), "is missing"
    return name, f"is of no use: {what[:1].lower()}{what[1:]}"


def _found_among(
    tables: Mapping[str, Any], section: str, said: str
) -> tuple[str, type[_Section], str]:
    kind = _TABLES[f"{section}[...]"]
    for name, table in tables.items():
        try:
            msgspec.convert(table, kind, strict=False)
        except msgspec.ValidationError as error:
            what, _, path = str(error).partition(" - at `$")
            return f"{section}.{name}{path.rstrip('`')}", kind, what
    return section, kind, said


def _references(settings: Settings) -> Iterator[Fault]:
    for name, sender in settings.senders.items():
        if sender.account not in settings.accounts:
            near = get_close_matches(sender.account, settings.accounts, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield Fault(f"senders.{name}.account", f"names no account: {sender.account!r}{hint}")
    for name in settings.accounts:
        if not _NAME.fullmatch(name):
            yield Fault(f"accounts.{name}", "is no name: use letters, digits, _ and - only")
    if settings.call_age_seconds < _LEAST_CALL_AGE_SECONDS:
        least = _LEAST_CALL_AGE_SECONDS + settings.worker.lease_seconds - settings.call_age_seconds
        words = (
            f"must be at least {least:g} s, so that a call is over before its lease lapses: "
            "ses.read_timeout_seconds, twice ses.connect_timeout_seconds and 2 s"
        )
        yield Fault("worker.lease_seconds", words)
