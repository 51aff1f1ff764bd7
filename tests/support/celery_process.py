"""A real Celery worker of ours in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


class CeleryProcess:
    """Starts `celery -A APP worker`; its log goes to a file. To be ended by `end`."""

    def __init__(self, app: str, log: Path, environ: dict[str, str], *options: str) -> None:
        self.log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "celery", "--quiet", "-A", app, "worker", *options],
                cwd=ROOT,
                env={**os.environ, **environ},  # noqa: TID251 - handed on to a process of ours
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def signal(self, which: signal.Signals) -> None:
        self._process.send_signal(which)

    def ended(self, *, seconds: float = 30) -> int:
        return self._process.wait(timeout=seconds)

    def end(self) -> None:
        if self.running:
            self._process.kill()
        self._process.wait(timeout=20)
