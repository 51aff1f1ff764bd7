"""One child process of the local stack, with its log."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from postroom.errors import PostroomError


class LocalStackError(PostroomError):
    """A process of the local stack is missing or died: the text says which, and its last lines."""


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
        code = self._process.poll()
        if code is not None:
            how = f"{self.name} ended by itself (exit code {code})"
            raise LocalStackError(how + self.last_lines())

    def last_lines(self, count: int = 15) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace")
        lines = text.rstrip().splitlines()[-count:]
        return "".join(f"\n  | {line}" for line in lines) or " and said nothing"


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
