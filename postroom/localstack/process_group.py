"""Child processes with their logs, none of which outlives this one."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from postroom.localstack import guard
from postroom.localstack.program import Program
from postroom.localstack.undisturbed import undisturbed

_STOP_SECONDS: Final = 15.0


class ProcessGroup:
    """Starts programs, ends them, and tells the guard of both; see guard.py."""

    def __init__(self, *, environ: Mapping[str, str], cwd: Path, held: Sequence[int] = ()) -> None:
        """The guard keeps the descriptors `held` open until all of them have ended."""
        self._environ: Final = environ
        self._cwd: Final = cwd
        self._programs: Final[list[Program]] = []
        self.folder: Final = Path(tempfile.mkdtemp(prefix="postroom-"))
        self._guard: Final = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "postroom.localstack.guard", str(self.folder)],
            env=dict(environ),
            cwd=cwd,
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=held,
            text=True,
        )

    def start(self, name: str, command: Sequence[str]) -> Program:
        log = self.folder / f"{name}.log"
        # Interrupted in between, it would run and nobody would know of it.
        with undisturbed():
            program = Program(name, command, environ=self._environ, cwd=self._cwd, log=log)
            self._tell(f"+{program.pid}")
            self._programs.append(program)
        return program

    def end(self, programs: Sequence[Program]) -> None:
        """Ask all of them to stop, then wait for each; kill what does not."""
        for program in programs:
            program.terminate()
        for program in programs:
            program.wait(_STOP_SECONDS)
            self.forget(program)

    def forget(self, program: Program) -> None:
        """A program has ended as it should."""
        self._programs.remove(program)
        self._tell(f"-{program.pid}")

    def check(self) -> None:
        """Raise `LocalStackError` with the last lines of its log when a program has ended."""
        for program in self._programs:
            program.check()

    def died(self) -> list[Program]:
        """Return the programs that have ended and were not asked to."""
        return [program for program in self._programs if not program.alive]

    def close(self, *, keep_logs: bool = False) -> None:
        """End whatever is left, newest first, and remove the logs unless they are kept."""
        for program in reversed(tuple(self._programs)):
            self.end([program])
        if keep_logs:
            self._tell(guard.KEEP)
        self._guard.communicate()
        if not keep_logs:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _tell(self, line: str) -> None:
        if self._guard.stdin is None:
            raise AssertionError("the guard was started with a pipe")
        self._guard.stdin.write(f"{line}\n")
        self._guard.stdin.flush()
