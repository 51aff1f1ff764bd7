"""Tries mutants in copies of the checkout: which test notices each, or that none does."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from tests.mutants.patch import BadPatchError, Mutant

_LEFT_OUT: Final = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "dist", "benchmarks")
_PYTEST: Final = ("-m", "pytest", "-x", "-q", "-rfE", "-m", "not slow", "-p", "no:cacheprovider")
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


class CannotTryError(Exception):
    """The tests did not come to an answer, or are red without any mutation."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant."""

    mutant: Mutant
    killed_by: str
    """The first test that failed, or "time-out"; empty when it survived."""
    trouble: str
    seconds: float

    def __str__(self) -> str:
        word = "NOT TRIED" if self.trouble else "killed" if self.killed_by else "SURVIVED"
        told = self.trouble or (f"by {self.killed_by}" if self.killed_by else self.mutant.law)
        return f"{word:9} {self.mutant.name:40} {told}  ({self.seconds:.0f} s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs mutants side by side, each alone in a copy."""

    root: Path
    fast: Sequence[str]
    """Test files and folders that a mutant must not survive."""
    seconds: float
    """After so long in one run of tests a mutant hangs, and counts as killed."""
    side_by_side: int = 2

    def results(self, mutants: Sequence[Mutant], *, green: Sequence[str]) -> Iterator[Result]:
        """Yield one after the other; raises `CannotTryError` when one of `green` is red already."""
        with self._copies() as copies:
            if failed := self._failure(copies[0], green):
                raise CannotTryError(f"without any mutation {failed} fails")
            free: SimpleQueue[Path] = SimpleQueue()
            for copy in copies:
                free.put(copy)
            with ThreadPoolExecutor(len(copies)) as threads:
                yield from threads.map(lambda one: self._tried(one, free), mutants)

    def _tried(self, mutant: Mutant, free: SimpleQueue[Path]) -> Result:
        copy, began = free.get(), time.monotonic()
        killed_by, trouble = "", ""
        try:
            mutant.apply(copy)
            killed_by = self._failure(copy, mutant.tests) or self._failure(copy, self.fast)
        except (BadPatchError, CannotTryError) as error:
            trouble = str(error)
        finally:
            for file in mutant.files:
                shutil.copy(self.root / file, copy / file)
            free.put(copy)
        return Result(mutant, killed_by, trouble, time.monotonic() - began)

    def _failure(self, copy: Path, tests: Sequence[str]) -> str:
        """Return the first test that fails there, "" when none does."""
        code, said = _ended(copy, [sys.executable, *_PYTEST, *tests], self.seconds)
        if code is None:
            return "time-out"
        failed = _FAILED.findall(said)
        if code == 0 or failed:
            return str(failed[0]) if failed else ""
        raise CannotTryError(f"pytest ended with {code}: {said.strip()[-200:]}")

    @contextmanager
    def _copies(self) -> Iterator[list[Path]]:
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            copies = [Path(folder) / str(number) for number in range(self.side_by_side)]
            for copy in copies:
                shutil.copytree(self.root, copy, ignore=_LEFT_OUT)
            yield copies


def _ended(folder: Path, command: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """Return the exit code, None after a time-out, and what was said. No process is left."""
    # Bytecode is known by second and size of its source, and a mutation is often of one size.
    ours = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    environ = {**os.environ, **ours}  # noqa: TID251 - handed on
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, ""
    return process.returncode, said
