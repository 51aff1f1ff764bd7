"""One child process of the local stack, with its log."""

import os
import random
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from postroom import clock
from postroom.errors import PostroomError


class LocalStackError(PostroomError):
    """A process of the local stack is missing or died: says which; its last lines are notes."""


class Program:
    """A process in a session of its own, so that Ctrl-C in the terminal reaches only us."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        cwd: Path,
        log: Path,
    ) -> None:
        self.name: Final = name
        self.command: Final = command
        self.log: Final = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                [*command],
                env=dict(environ),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid: Final = self._process.pid
        self.started_at: Final = clock.now()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def signal(self, how: signal.Signals) -> None:
        """Signal the process and its children; one that has ended is left alone."""
        if self.alive:
            os.killpg(self.pid, how)

    def terminate(self) -> None:
        """Ask the process itself to stop: Celery tells its own children."""
        if self.alive:
            os.kill(self.pid, signal.SIGCONT)
            os.kill(self.pid, signal.SIGTERM)

    def wait(self, grace_seconds: float) -> None:
        """Wait for the end; kill what has not ended after the grace."""
        try:
            self._process.wait(timeout=grace_seconds)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._process.wait()

    def check(self) -> None:
        """Raise `LocalStackError` with the last lines of the log when the process has ended."""
        if not self.alive:
            error = LocalStackError(f"{self.name} ended by itself ({self.ending})")
            for line in self.last_lines():
                error.add_note(line)
            raise error

    @property
    def ending(self) -> str:
        """How it ended. It must have ended."""
        code = self._process.returncode
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def last_lines(self, count: int = 15) -> list[str]:
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return [f"  | {line}" for line in text.rstrip().splitlines()[-count:]]


def free_port() -> int:
    """Return a port that nobody listens on, below those that outgoing connections are given."""
    while True:
        port = random.randint(10_000, 32_000)  # noqa: S311 - it spreads, it guards nothing
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
