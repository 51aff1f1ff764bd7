"""Keeps a local stack whole: who died is said, and followed by another."""

from collections.abc import Callable
from typing import Final

from postroom import clock
from postroom.localstack.program import Program
from postroom.localstack.stack import LocalStack

_QUICK_SECONDS: Final = 10.0
"""Who dies sooner after its start than this will probably do so again."""
_TOLD_AT: Final = 3
"""After so many quick deaths in a row the last lines of the log are shown."""
_LONGEST_PAUSE_SECONDS: Final = 30.0


class Supervisor:
    """Replaces what died, at once the first time, later and later when it dies at once."""

    def __init__(self, stack: LocalStack, say: Callable[[str], None]) -> None:
        self._stack: Final = stack
        self._say: Final = say
        self._quick_deaths: Final[dict[Program, int]] = {}
        """How many quick deaths in a row led to this program."""
        self._due: Final[dict[Program, float]] = {}

    def look(self) -> None:
        """To be called again and again, about twice a second."""
        for program in self._stack.died():
            if program not in self._due:
                self._bury(program)
            if clock.now() >= self._due[program]:
                self._replace(program)

    def _bury(self, program: Program) -> None:
        quick = clock.now() - program.started_at < _QUICK_SECONDS
        deaths = self._quick_deaths.get(program, 0) + 1 if quick else 0
        self._quick_deaths[program] = deaths
        pause = min(2.0 ** (deaths - 2), _LONGEST_PAUSE_SECONDS) if deaths > 1 else 0.0
        self._due[program] = clock.now() + pause
        when = f" in {pause:g} s" if pause else ""
        self._say(f"{program.name} died ({program.ending}); starting another{when}")
        if deaths == _TOLD_AT:
            self._say(f"that is {deaths} in a row, each within {_QUICK_SECONDS:g} s of its start:")
            for line in program.last_lines():
                self._say(line)

    def _replace(self, program: Program) -> None:
        del self._due[program]
        deaths = self._quick_deaths.pop(program)
        self._quick_deaths[self._stack.replace(program)] = deaths
