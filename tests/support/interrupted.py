"""A store at whose every step something may happen: before a script runs, or before its reply."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import redis

from postroom.errors import StoreUnavailableError
from postroom.settings import Redis
from postroom.store.connection import Step, Store

COMMAND = "a command"
"""Stands for whatever is no script."""


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


class ReplyLostError(StoreUnavailableError):
    """The script ran, and nobody heard of it."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """What happens when a script runs for the n-th time from now, before it or after it."""

    script: str
    times: int
    after: bool
    happening: Callable[[], None]


@dataclass
class Watch:
    """What one process meets, and who looks over its shoulder."""

    seen: Callable[[str, Any, Any], None]
    """Told of every script that ran: its name, its keys, its answer."""
    ahead: list[Interruption] = field(default_factory=list)
    ran: Counter[str] = field(default_factory=Counter)
    dead: bool = False

    def meet(self, interruptions: list[Interruption]) -> None:
        """From now on these happen, counted from this moment."""
        self.ahead, self.ran = list(interruptions), Counter()

    def happen(self, script: str, *, after: bool) -> None:
        due = [
            one
            for one in self.ahead
            if (one.script, one.times, one.after) == (script, self.ran[script], after)
        ]
        for one in due:
            self.ahead.remove(one)
            one.happening()


class InterruptedStore(Store):
    """The real store, watched. A process that was killed reaches it no more."""

    def __init__(self, settings: Redis, watch: Watch) -> None:
        super().__init__(settings)
        self._watch = watch

    def run(self, script: str, keys: Sequence[str], args: Sequence[Any] = ()) -> Any:
        def step() -> Any:
            answer = super(InterruptedStore, self).run(script, keys, args)
            self._watch.seen(script, keys, answer)
            return answer

        return self._stepped(script, step)

    def run_all(self, steps: Sequence[Step], *, remove: tuple[str, str] | None = None) -> list[Any]:
        """One round trip: whatever happens comes before all of it or after."""

        def step() -> list[Any]:
            answers = super(InterruptedStore, self).run_all(steps, remove=remove)
            for (script, keys, _), answer in zip(steps, answers, strict=True):
                self._watch.seen(script, keys, answer)
            return answers

        for script, _, _ in reversed(steps):
            step = partial(self._stepped, script, step)
        return step()

    def ask(self, command: Callable[[redis.Redis], Any]) -> Any:
        return self._stepped(COMMAND, lambda: super(InterruptedStore, self).ask(command))

    def _stepped(self, script: str, step: Callable[[], Any]) -> Any:
        watch = self._watch
        if watch.dead:
            raise Killed
        watch.ran[script] += 1
        watch.happen(script, after=False)
        answer = step()
        watch.happen(script, after=True)
        return answer
