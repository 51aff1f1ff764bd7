"""Who is there: whether Redis answers, which processes run, and what ails single ones."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from typing import Any, Final

from postroom.errors import StoreUnavailableError
from postroom.model import AccountName, SenderName
from postroom.store.connection import Store

EVERY_ACCOUNT = "*"
_PRODUCER_SECONDS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What keeps one worker process from sending, while others may be well."""

    worker: str
    """`host:pid`."""
    account: AccountName
    sender: SenderName | None
    """None: no sender of the account."""
    reason: str
    seconds: float
    """How long it has lasted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a process says of itself, whatever it does."""

    version: str = ""
    started_at: float = 0.0
    """Unix seconds, by the clock of its host."""
    slots: int = 0
    """Tasks that it takes at once."""
    busy: int = 0
    """Tasks that it has in hand."""
    settings: str = ""
    """Mark of what all senders mean in its settings; see `SenderRegistry.settings`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningProducer:
    """One producer process, as it announced itself last."""

    name: str
    """`host:pid`."""
    about: About


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningWorker:
    """One worker process, as it announced itself last."""

    name: str
    """`host:pid`."""
    accounts: frozenset[AccountName]
    """Those in its settings, whether it can send for them now or not."""
    serving: frozenset[AccountName] | None
    """Those that it sends for now; None: any."""
    troubles: tuple[Trouble, ...] = ()
    about: About = field(default_factory=About)

    def serves(self, account: AccountName) -> bool:
        """Whether it sends for an account now."""
        return self.serving is None or account in self.serving

    def ails(self, account: AccountName, sender: SenderName | None) -> Trouble | None:
        """Return its trouble with an account, or with one sender on it."""
        found = (one for one in self.troubles if (one.account, one.sender) == (account, sender))
        return next(found, None)


def answers(store: Store) -> bool:
    try:
        return bool(store.ask(lambda client: client.ping()))
    except StoreUnavailableError:
        return False


def workers(store: Store) -> list[RunningWorker]:
    """Return the workers whose announcement still holds; see `Dispatch.announce`."""
    return [_worker(name, told) for name, told in _there(store, "workers")]


def producers(store: Store) -> list[RunningProducer]:
    """Return the producers whose announcement still holds."""
    return [
        RunningProducer(name=name, about=_about(json.loads(told)))
        for name, told in _there(store, "producers")
    ]


def announce_producer(store: Store, name: str, about: About) -> None:
    """Say that a producer is there; holds for some seconds."""
    record = json.dumps({"about": asdict(about)})
    key = store.keys.dispatch("producers")
    store.run("announce_producer", [key], [name, _PRODUCER_SECONDS, record])


def retire_producer(store: Store, name: str) -> None:
    """A producer is going."""
    store.ask(lambda client: client.hdel(store.keys.dispatch("producers"), name))


def served(accounts: Collection[AccountName] | None) -> str:
    """Write which accounts a worker serves as the scripts read it; None is all of them."""
    return EVERY_ACCOUNT if accounts is None else _written(frozenset(accounts))


@lru_cache(maxsize=16)
def _written(accounts: frozenset[AccountName]) -> str:
    """Asked at every pick, of the same hundreds of accounts."""
    return f",{','.join(sorted(accounts))},"


def told(
    serving: Collection[AccountName] | None,
    accounts: Collection[AccountName],
    troubles: Sequence[Trouble],
    about: About,
) -> str:
    """Write all that a worker announces; `_worker` reads it."""
    ailing = [[one.account, one.sender, one.reason, round(one.seconds, 1)] for one in troubles]
    serves = None if serving is None else sorted(serving)
    record = {
        "accounts": sorted(accounts),
        "serving": serves,
        "troubles": ailing,
        "about": asdict(about),
    }
    return json.dumps(record, ensure_ascii=False)


def _there(store: Store, kind: str) -> list[tuple[str, str]]:
    key = store.keys.dispatch(kind)
    found: dict[bytes, bytes] = store.ask(lambda client: client.hgetall(key))
    now = store.seconds()
    there = []
    for name, stored in sorted(found.items()):
        lapses, _, told = stored.decode().partition("|")
        if float(lapses) > now:
            there.append((name.decode(), told))
    return there


def _worker(name: str, told: str) -> RunningWorker:
    has = json.loads(told)
    return RunningWorker(
        name=name,
        accounts=frozenset(map(AccountName, has["accounts"])),
        serving=None if has["serving"] is None else frozenset(map(AccountName, has["serving"])),
        troubles=tuple(
            Trouble(worker=name, account=account, sender=sender, reason=reason, seconds=seconds)
            for account, sender, reason, seconds in has["troubles"]
        ),
        about=_about(has),
    )


def _about(has: dict[str, Any]) -> About:
    """Read what a process says of itself; one of another version may say less, or more."""
    known = {one.name for one in fields(About)}
    return About(**{key: value for key, value in has.get("about", {}).items() if key in known})
