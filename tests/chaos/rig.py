"""A whole stack whose every process can be killed, stopped and started again.

Real Redis over an append-only file, real Celery producers and workers, the local SES; each a
process of its own. Leases and time-outs are short, so that a run takes minutes.
"""

import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import ProxyHandler, Request, build_opener

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from postroom import clock, settings
from postroom.client import Postroom
from postroom.localstack import environment, redis_server, simulator
from postroom.localstack.process_group import ProcessGroup
from postroom.localstack.program import Program, free_port
from postroom.localstack.stack import checkout
from postroom.store.keys import Keys

LEASE_SECONDS = 5.0

SHORT = {
    "POSTROOM_REDIS__TIMEOUT_SECONDS": "1.5",
    "POSTROOM_PRODUCER__LEASE_SECONDS": "3",
    "POSTROOM_WORKER__LEASE_SECONDS": str(LEASE_SECONDS),
    "POSTROOM_WORKER__SLICE_SECONDS": "3",
    "POSTROOM_WORKER__MAX_WAIT_SECONDS": "1.5",
    "POSTROOM_WORKER__GRACE_SECONDS": "4",
    "POSTROOM_RETRY__CAP_SECONDS": "1",
    "POSTROOM_RETRY__PARK_SECONDS": "2",
    "POSTROOM_SES__CONNECT_TIMEOUT_SECONDS": "0.5",
    "POSTROOM_SES__READ_TIMEOUT_SECONDS": "2",
    "POSTROOM_DISPATCH__GRACE_SECONDS": "6",
    "POSTROOM_DISPATCH__TICK_SECONDS": "0.5",
}

_CONFIG = """
[accounts.local]
region = "eu-west-1"
send_mode = "{send_mode}"
[senders.news]
account = "local"
from = "Shop <news@shop.example.com>"
"""

_OPENER = build_opener(ProxyHandler({}))
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a run needs. Rates are recipients a second, 0 is unlimited."""

    workers: int = 3
    producers: int = 1
    slots: int = 6
    pool: str = "threads"
    """`processes` is prefork: Celery takes `-P prefork` for its own default and keeps ours."""
    send_mode: str = "auto"
    rate: float = 0.0
    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    environ: Mapping[str, str] = field(default_factory=dict)


class Rig:
    """Starts on entering, ends everything on leaving; a guard does it should this process die."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.redis_port, self.ses_port = free_port(), free_port()
        self.redis_url = f"redis://127.0.0.1:{self.redis_port}/0"
        self.ses_url = f"http://127.0.0.1:{self.ses_port}"
        self._config = Path(tempfile.mkdtemp(prefix="postroom-rig-"))
        config = self._config / "rig.toml"
        config.write_text(_CONFIG.format(send_mode=shape.send_mode))
        given = settings.environment() | SHORT | dict(shape.environ)
        given |= {"POSTROOM_CONFIG": str(config)}
        given |= {"POSTROOM_WORKER__SLOTS": str(shape.slots)}
        given.pop("AWS_ENDPOINT_URL_SESV2", None)
        root = checkout()
        self.environ = environment.made(
            given, redis_url=self.redis_url, ses_url=self.ses_url, root=root
        )
        self.settings = settings.load(self.environ)
        self.keys = Keys(self.settings.redis.prefix)
        # Left to itself redis-py asks ten times, and the faults would wait for it.
        self.client = redis.Redis(
            port=self.redis_port, socket_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        self.post = Postroom(settings=self.settings)
        self.workers: list[Program] = []
        self.producers: list[Program] = []
        self._numbers = count(1)
        self._group = ProcessGroup(environ=self.environ, cwd=root)
        self.redis_folder = self._group.folder / "redis"
        self.redis_folder.mkdir()
        self._redis: Program | None = None

    def __enter__(self) -> Self:
        try:
            self.start_redis()
            self._start_simulator()
            for _ in range(self.shape.producers):
                self.start_producer()
            for _ in range(self.shape.workers):
                self.start_worker()
            self.until(lambda: self.workers_there() >= self.shape.workers, "workers are there")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        for program in [*self.workers, *self.producers]:
            program.signal(signal.SIGCONT)
        self.thaw_redis()
        self.post.close()
        self.client.close()
        self._group.close()
        shutil.rmtree(self._config)

    def start_redis(self) -> None:
        """Start Redis over whatever file is there, and wait until it answers."""
        path = redis_server.binary(self.environ)
        command = redis_server.command(path, port=self.redis_port, folder=self.redis_folder)
        self._redis = self._group.start("redis", command)
        self.until(self.redis_answers, "Redis answers")

    def kill_redis(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self._redis is not None
        self._end(self._redis, how)
        self._redis = None

    def freeze_redis(self) -> None:
        if self._redis is not None:
            self._redis.signal(signal.SIGSTOP)

    def thaw_redis(self) -> None:
        if self._redis is not None:
            self._redis.signal(signal.SIGCONT)

    def redis_answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def start_worker(self, *environ: str) -> Program:
        """Start a worker; `environ` is what `env` takes: `NAME=value`, or `-u` and a name."""
        command = ["-P", self.shape.pool] if self.shape.pool != "threads" else []
        self.workers.append(self._celery("worker", "worker.app", *command, environ=environ))
        return self.workers[-1]

    def start_producer(self, *environ: str) -> Program:
        self.producers.append(self._celery("producer", "producers.app", environ=environ))
        return self.producers[-1]

    def kill_worker(self, which: int, how: signal.Signals = signal.SIGKILL) -> Program:
        program = self.workers.pop(which % len(self.workers))
        self._end(program, how)
        return program

    def kill_producer(self) -> None:
        self._end(self.producers.pop(0), signal.SIGKILL)

    def ask_to_stop(self, which: int) -> Program:
        """Send SIGTERM to a worker and do not wait for its end."""
        program = self.workers.pop(which % len(self.workers))
        program.terminate()
        return program

    def reap(self, program: Program, seconds: float) -> None:
        program.wait(seconds)
        self._group.forget(program)

    def workers_there(self) -> int:
        with suppress(redis.RedisError):
            return int(self.client.hlen(self.keys.dispatch("slots:bulk")))
        return 0

    def died(self) -> list[str]:
        """Return the processes that have ended and were not asked to."""
        return [one.name for one in (*self.workers, *self.producers) if not one.alive]

    def arm(self, **fault: Any) -> None:
        """Arm a fault of the local SES."""
        self._ask("POST", "faults", fault)

    def disarm(self) -> None:
        self._ask("DELETE", "faults")

    def ses_settings(self, **changes: Any) -> None:
        self._ask("POST", "settings", changes)

    def stats(self) -> dict[str, Any]:
        return simulator.stats(self.ses_url)

    def accepted(self, campaign_id: str) -> dict[str, int]:
        """Return how often the local SES took a mail to each address."""
        url = f"{self.ses_url}/_simulator/accepted?campaign={campaign_id}"
        with _OPENER.open(url, timeout=60) as answer:
            rows = [json.loads(line) for line in answer if line.strip()]
        return {row["address"]: row["count"] for row in rows}

    def until(self, condition: Any, what: str, seconds: float = _START_SECONDS) -> None:
        deadline = clock.now() + seconds
        while not condition():
            if clock.now() > deadline:
                raise AssertionError(f"waited {seconds:g} s in vain until: {what}")
            clock.sleep(0.03)

    def keep_logs(self, kept: Path) -> Path:
        """Copy what the processes said to where it can be read after the run."""
        shutil.copytree(self._group.folder, kept, dirs_exist_ok=True)
        return kept

    def _start_simulator(self) -> None:
        shape = self.shape
        command = [sys.executable, "-m", "simulator", "--port", str(self.ses_port)]
        command += ["--rate", f"{shape.rate}", "--requests-kept", "20000"]
        command += ["--latency-ms", f"{shape.latency_ms}"]
        command += ["--latency-jitter-ms", f"{shape.jitter_ms}"]
        self._group.start("simulator", command)
        self.until(lambda: simulator.healthy(self.ses_url), "the local SES answers")

    def _celery(self, kind: str, app: str, *options: str, environ: Sequence[str] = ()) -> Program:
        # Never a name twice: Celery's nodes must not share one.
        name = f"{kind}{next(self._numbers)}"
        command = [sys.executable, "-m", "celery", "-A", app, "worker", "-n", f"{name}@%h"]
        command = ["env", *environ, *command] if environ else command
        return self._group.start(name, [*command, *options])

    def _end(self, program: Program, how: signal.Signals) -> None:
        program.signal(how)
        program.wait(_START_SECONDS)
        self._group.forget(program)

    def _ask(self, method: str, what: str, given: Any = None) -> None:
        url = f"{self.ses_url}/_simulator/{what}"
        body = json.dumps(given).encode() if given is not None else None
        with _OPENER.open(Request(url, data=body, method=method), timeout=10) as answer:
            answer.read()
