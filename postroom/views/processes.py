"""The processes that run, and which of them mean something else by a sender than the others."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from postroom.meaning import Meaning, difference
from postroom.model import SenderName
from postroom.store import presence
from postroom.store.connection import Store
from postroom.store.presence import About, RunningProducer, RunningWorker
from postroom.store.sender_registry import SenderRegistry

SettingsOf = Mapping[str, Mapping[SenderName, Meaning]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One worker or producer, as it announced itself last."""

    kind: str
    """`worker` or `producer`."""
    name: str
    """`host:pid`."""
    about: About
    troubles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """One process whose settings differ, and in what."""

    process: str
    """`worker HOST:PID`."""
    sender: SenderName
    what: str


def processes(store: Store) -> list[Process]:
    """Return every process that is there, producers first. Raises `StoreUnavailableError`."""
    there, producers = presence.workers(store), presence.producers(store)
    other = list(others(store, there, producers))

    def one(kind: str, name: str, about: About, troubles: Sequence[str]) -> Process:
        odd = [found.what for found in other if found.process == f"{kind} {name}"]
        # A worker that has met a campaign of such a sender says the same itself.
        once = tuple(dict.fromkeys([*odd, *troubles]))
        return Process(kind=kind, name=name, about=about, troubles=once)

    return [
        *(one("producer", each.name, each.about, ()) for each in producers),
        *(
            one("worker", each.name, each.about, [trouble.reason for trouble in each.troubles])
            for each in there
        ),
    ]


def others(
    store: Store, there: Sequence[RunningWorker], producers: Sequence[RunningProducer]
) -> Iterator[Differing]:
    """Yield who means something else by a sender. Raises `StoreUnavailableError`."""
    marks = {one.about.settings for one in there} | {one.about.settings for one in producers}
    marks -= {""}
    if len(marks) > 1:
        yield from differing(there, producers, SenderRegistry(store).settings(marks))


def differing(
    there: Sequence[RunningWorker], producers: Sequence[RunningProducer], settings: SettingsOf
) -> Iterator[Differing]:
    """Yield whoever means something else: than the producers do, or else than most do.

    n is the processes times their senders; nothing is looked at while all marks are the same.
    """
    processes = [
        *((f"producer {one.name}", one.about) for one in producers),
        *((f"worker {one.name}", one.about) for one in there),
    ]
    marks = [about.settings for _, about in processes if about.settings in settings]
    if len(set(marks)) < 2:
        return
    told = [one.about.settings for one in producers if one.about.settings in settings]
    usual = _usual([settings[mark] for mark in told or marks])
    for name, about in processes:
        for sender, own in settings.get(about.settings, {}).items():
            if sender in usual and (what := difference(sender, own, usual[sender])):
                yield Differing(process=name, sender=sender, what=what)


def _usual(settings: Sequence[Mapping[SenderName, Meaning]]) -> dict[SenderName, Meaning]:
    """Return what most mean by each sender; of as many, those who come first."""
    names = dict.fromkeys(name for one in settings for name in one)
    return {
        name: Counter(one[name] for one in settings if name in one).most_common(1)[0][0]
        for name in names
    }
