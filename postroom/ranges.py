"""What each number of the settings may be, and what must hold between them.

By the names that the settings file has, so that a refusal names what its reader must change.
Imports the standard library only.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

Numbers = Mapping[str, float]
"""Numbers of the settings by name: `worker.slots`."""

_DAY: Final = 86_400
_YEAR: Final = 366 * _DAY


class Range(NamedTuple):
    """Both ends are allowed."""

    low: float
    high: float


class Relation(NamedTuple):
    """What must hold between settings, in words that follow the name of the first one."""

    names: tuple[str, ...]
    holds: Callable[..., bool]
    words: str


RANGES: Final[Mapping[str, Range]] = {
    # Below a tenth of a second an ordinary pause of the network is an outage.
    "redis.timeout_seconds": Range(0.1, 60),
    "store.retention_seconds": Range(60, _YEAR),
    "store.message_retention_seconds": Range(60, _YEAR),
    "store.raw_message_bytes": Range(1_024, 40 * 1024 * 1024),
    # A submitter is taken for dead after 30 seconds: his draft must outlast that.
    "store.draft_seconds": Range(60, _YEAR),
    "producer.slots": Range(1, 64),
    "producer.lease_seconds": Range(1, 3600),
    "producer.max_crashes": Range(1, 1000),
    # Threads: more of them than this spend their time on each other.
    "worker.slots": Range(1, 1000),
    "worker.lease_seconds": Range(1, 3600),
    "worker.slice_seconds": Range(0, 3600),
    "worker.max_wait_seconds": Range(0.1, 600),
    "worker.grace_seconds": Range(0, 3600),
    "worker.unfit_seconds": Range(1, 86_400),
    "worker.single_calls": Range(1, 2000),
    # SES: 50 entries a call, 1 MB a request.
    "worker.bulk_call_size": Range(1, 50),
    "worker.bulk_call_bytes": Range(10_000, 1_000_000),
    "retry.max_attempts": Range(1, 100),
    "retry.base_seconds": Range(0.001, 600),
    "retry.cap_seconds": Range(0.001, 600),
    "retry.park_seconds": Range(0.1, _DAY),
    "retry.max_parks": Range(0, 10_000),
    "retry.max_crashes": Range(1, 1000),
    "ses.connect_timeout_seconds": Range(0.1, 60),
    "ses.read_timeout_seconds": Range(0.1, 600),
    # SES's own bucket holds about a second.
    "limiter.burst_seconds": Range(0.01, 1),
    # At 1 a throttle would slow nothing down, above it would speed up.
    "limiter.decrease": Range(0.1, 0.99),
    "limiter.increase_per_second": Range(0.0001, 1),
    "limiter.window_cells": Range(10, 10_000),
    "limiter.refresh_seconds": Range(0.5, 3600),
    "limiter.bulk_rest_seconds": Range(0, _DAY),
    "limiter.transactional_share": Range(0, 0.9),
    "dispatch.window": Range(1, 100),
    "dispatch.grace_seconds": Range(0.5, 3600),
    # Slots that nobody announces for ten seconds count no more.
    "dispatch.tick_seconds": Range(0.05, 5),
    "accounts.*.max_send_rate": Range(0.01, 1_000_000),
    "accounts.*.share": Range(0.01, 1),
    "accounts.*.quota_window_seconds": Range(1, _DAY),
    "accounts.*.bulk_requests_per_second": Range(0.01, 10_000),
}

RELATIONS: Final = (
    Relation(
        ("retry.base_seconds", "retry.cap_seconds"),
        lambda base, cap: base <= cap,
        "must not be above {1}: the backoff grows from the one to the other",
    ),
    Relation(
        ("worker.slice_seconds", "worker.lease_seconds"),
        lambda slice_, lease: slice_ < lease,
        "must be below {1}: a batch counts as out for no longer than a lease",
    ),
    Relation(
        ("worker.max_wait_seconds", "retry.cap_seconds", "worker.lease_seconds"),
        lambda wait, cap, lease: 2 * wait + cap <= lease,
        "must, twice and with {1} beside it, not be above {2}: calls renew the lease, and a batch "
        "may wait so long between two of them",
    ),
    Relation(
        ("worker.grace_seconds", "worker.lease_seconds"),
        lambda grace, lease: grace <= lease,
        "must not be above {1}: who stops renews nothing",
    ),
    Relation(
        ("redis.timeout_seconds", "worker.lease_seconds"),
        lambda timeout, lease: 2 * timeout <= lease,
        "must be at most half of {1}: a lease must outlast a command that is made twice",
    ),
    Relation(
        ("redis.timeout_seconds", "producer.lease_seconds"),
        lambda timeout, lease: 2 * timeout <= lease,
        "must be at most half of {1}: a lease must outlast a command that is made twice",
    ),
    Relation(
        ("dispatch.tick_seconds", "dispatch.grace_seconds"),
        lambda tick, grace: tick < grace,
        "must be below {1}: what is released must have time to be claimed",
    ),
)


class Fault(NamedTuple):
    """Which setting cannot stay as it is, and why."""

    name: str
    words: str


def faults(tree: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with the settings, given as nested tables."""
    numbers = dict(_numbers(tree))
    for name, value in numbers.items():
        allowed = RANGES[general(name)]
        # Not a number is in no range, but neither is it outside.
        if not (math.isfinite(value) and allowed.low <= value <= allowed.high):
            ends = f"from {_shown(allowed.low)} to {_shown(allowed.high)}"
            yield Fault(name, f"is {_shown(value)}: it must be {ends}")
    for relation in RELATIONS:
        values = [numbers[name] for name in relation.names]
        if not relation.holds(*values):
            said = [f"{name} ({_shown(numbers[name])})" for name in relation.names]
            yield Fault(
                relation.names[0], f"is {_shown(values[0])}: it {relation.words.format(*said)}"
            )


def general(name: str) -> str:
    """Return a name without that of an account: `accounts.*.share`."""
    section, _, rest = name.partition(".")
    return f"accounts.*.{rest.rpartition('.')[2]}" if section == "accounts" else name


def _numbers(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{above}{key}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{above}{key}", value


def _shown(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"
