"""The local stack: everything a campaign needs, as child processes of this one."""

import os
import secrets
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from postroom import clock, settings
from postroom.localstack import environment, redis_server, simulator
from postroom.localstack.data_folder import held_lock
from postroom.localstack.process_group import ProcessGroup
from postroom.localstack.program import LocalStackError, Program, free_port
from postroom.store import presence
from postroom.store.connection import Store

_START_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.05
_FOLDERS: Final = ("worker", "producers", "simulator", "config")
_APPS: Final = {"worker": "worker.app", "producer": "producers.app"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large the stack is and how its SES behaves. Rates are recipients a second."""

    workers: int = 1
    producers: int = 1
    rate: float = 0.0
    """0: unlimited."""
    quota: int = -1
    """-1: unlimited."""
    latency_ms: float = 0.0
    simulator_options: tuple[str, ...] = ()
    """Further flags of `python -m simulator`."""
    redis_options: tuple[str, ...] = ()
    """Further flags of `redis-server`: its CONFIG is switched off."""


class LocalStack:
    """Starts on entering; on leaving ends every process, in the order that loses nothing.

    The Redis of POSTROOM_REDIS_URL and the SES of AWS_ENDPOINT_URL_SESV2 are used where
    `environ` has them. Its own Redis writes to `data`, where one is given, and begins with what
    is there. Should this process die without leaving, the guard ends the others. When it is
    left by an error, the logs stay, and a note of the error says where.
    Raises `LocalStackError`.
    """

    def __init__(
        self,
        shape: Shape | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        data: Path | None = None,
    ) -> None:
        self._shape: Final = shape or Shape()
        given = settings.environment() if environ is None else environ
        root = processes()
        self._redis_port: Final = free_port()
        self._ses_port: Final = free_port()
        self._password: Final = secrets.token_hex(16)
        own_redis = f"redis://:{self._password}@127.0.0.1:{self._redis_port}/0"
        self.own_redis: Final = not given.get("POSTROOM_REDIS_URL")
        self.redis_url: Final = own_redis if self.own_redis else given["POSTROOM_REDIS_URL"]
        self.own_ses: Final = environment.given_ses(given) is None
        self.ses_url: Final = environment.given_ses(given) or f"http://127.0.0.1:{self._ses_port}"
        self.environ: Final = environment.made(
            given, redis_url=self.redis_url, ses_url=self.ses_url, root=root
        )
        self.workers: Final[list[Program]] = []
        self.producers: Final[list[Program]] = []
        self._numbers: Final = {kind: count(1) for kind in _APPS}
        self._data: Final = data
        self._lock: Final = [held_lock(data)] if data else []
        self._keep_logs = False
        self._group: Final = ProcessGroup(environ=self.environ, cwd=root, held=self._lock)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and not isinstance(error, KeyboardInterrupt):
            self.keep_logs()
            error.add_note(f"logs: {self.folder}")
        self.stop()

    @property
    def folder(self) -> Path:
        """Where the logs and, unless it is kept elsewhere, Redis' file are while it runs."""
        return self._group.folder

    def start_worker(self) -> Program:
        return self._celery("worker", self.workers)

    def start_producer(self) -> Program:
        return self._celery("producer", self.producers)

    def kill_worker(self, number: int, how: signal.Signals = signal.SIGKILL) -> None:
        """End worker `number` (from 0) by that signal, wait for its end, and forget it."""
        program = self.workers.pop(number)
        program.signal(how)
        program.wait(_START_SECONDS)
        self._group.forget(program)

    def died(self) -> list[Program]:
        """Return the programs that have ended and were not asked to."""
        return self._group.died()

    def replace(self, program: Program) -> Program:
        """Start another in the place of a program that died. Redis begins with its file."""
        self._group.forget(program)
        if program in self.workers:
            self.workers.remove(program)
            return self.start_worker()
        if program in self.producers:
            self.producers.remove(program)
            return self.start_producer()
        return self._group.start(program.name, program.command)

    def keep_logs(self) -> None:
        """Let the folder stay when the stack ends."""
        self._keep_logs = True

    def check(self) -> None:
        """Raise `LocalStackError` with the last lines of its log when a process has ended."""
        self._group.check()

    def wait_for_workers(self) -> None:
        """Return when every worker has told Redis that it is there."""
        store = Store(settings.load(self.environ).redis)
        try:
            self._until(
                lambda: len(presence.workers(store)) >= len(self.workers), "workers are there"
            )
        finally:
            store.close()

    def stop(self) -> None:
        """End workers and producers first, so that they settle what they hold; Redis last."""
        self._group.end([*self.workers, *self.producers])
        self.workers.clear()
        self.producers.clear()
        self._group.close(keep_logs=self._keep_logs)
        while self._lock:
            os.close(self._lock.pop())

    def _start(self) -> None:
        if self.own_redis:
            self._start_redis()
        if self.own_ses:
            self._start_simulator()
        self._wait_for_the_ground()
        for _ in range(self._shape.producers):
            self.start_producer()
        for _ in range(self._shape.workers):
            self.start_worker()
        self.wait_for_workers()

    def _start_redis(self) -> None:
        binary = redis_server.binary(self.environ)
        command = redis_server.command(
            binary,
            port=self._redis_port,
            folder=self._data or self.folder,
            config=redis_server.locked(self.folder, self._password),
        )
        self._group.start("redis", [*command, *self._shape.redis_options])

    def _start_simulator(self) -> None:
        shape = self._shape
        command = [sys.executable, "-m", "simulator", "--port", str(self._ses_port)]
        command += ["--rate", f"{shape.rate}", "--quota", f"{shape.quota}"]
        command += ["--latency-ms", f"{shape.latency_ms}", *shape.simulator_options]
        self._group.start("simulator", command)

    def _wait_for_the_ground(self) -> None:
        store = Store(settings.load(self.environ).redis)
        try:
            self._until(lambda: presence.answers(store), "Redis answers")
        finally:
            store.close()
        if self.own_ses:
            self._until(lambda: simulator.healthy(self.ses_url), "the simulator answers")

    def _celery(self, kind: str, among: list[Program]) -> Program:
        # Never a name twice: Celery's nodes must not share one.
        name = f"{kind}{next(self._numbers[kind])}"
        command = [sys.executable, "-m", "celery", "-A", _APPS[kind], "worker", "-n", f"{name}@%h"]
        among.append(self._group.start(name, command))
        return among[-1]

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = clock.now() + _START_SECONDS
        while not condition():
            self.check()
            if clock.now() > deadline:
                raise LocalStackError(f"waited {_START_SECONDS:g} s in vain until {what}")
            clock.sleep(_PAUSE_SECONDS)
        self.check()


def checkout() -> Path:
    """Return the checkout that this code is run from.

    Raises `LocalStackError` where only the wheel is installed: it has no examples.
    """
    root = _package().parent
    if not _is_whole(root):
        raise LocalStackError("this needs a checkout of Postroom, not its wheel")
    return root


def processes() -> Path:
    """Return the folder with the code of workers, producers and simulator: the wheel's, or the
    checkout. Raises `LocalStackError` where there is neither.
    """
    package = _package()
    for root in (package / "_processes", package.parent):
        if _is_whole(root):
            return root
    raise LocalStackError(f"there is no code of worker, producers and simulator in {package}")


def _package() -> Path:
    ours = find_spec("postroom")
    return Path(ours.origin).parent if ours and ours.origin else Path()


def _is_whole(root: Path) -> bool:
    return all((root / name).is_dir() for name in _FOLDERS)
