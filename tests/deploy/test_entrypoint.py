"""The processes as `make worker`, `make flower` and the image start them."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import psutil
import pytest

from postroom import settings
from postroom.localstack.program import free_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
ENTRYPOINT = ROOT / "deploy" / "entrypoint.sh"
OPENER = build_opener(ProxyHandler({}))


class Process:
    """What the entrypoint became: it execs, so this is the process itself."""

    def __init__(self, log: Path, *arguments: str, **environ: str) -> None:
        self._log = log
        given = settings.environment()
        given["PATH"] = f"{Path(sys.executable).parent}:{given['PATH']}"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [ENTRYPOINT, *arguments],
                cwd=ROOT,
                env=given | environ,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def signal(self, which: signal.Signals) -> None:
        self._process.send_signal(which)

    def ended(self) -> int:
        return self._process.wait(timeout=30)

    def listens_on(self) -> set[tuple[str, int]]:
        return {
            (one.laddr.ip, one.laddr.port)
            for one in psutil.Process(self.pid).net_connections("inet")
            if one.status == psutil.CONN_LISTEN
        }

    def end(self) -> None:
        self._process.kill()
        self._process.wait(timeout=20)


@contextmanager
def running(log: Path, *arguments: str, **environ: str) -> Iterator[Process]:
    process = Process(log, *arguments, **environ)
    try:
        yield process
    finally:
        process.end()


def given(redis: RedisServer, **more: str) -> dict[str, str]:
    config = {"POSTROOM_CONFIG": str(ROOT / "config" / "local.toml")}
    return {"POSTROOM_REDIS_URL": redis.url, **config, **more}


# --- Flower ----------------------------------------------------------------------------------


def test_flower_listens_on_this_machine_alone_and_says_where(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    port = free_port()
    environ = given(redis_server, FLOWER_PORT=str(port))
    with running(tmp_path / "log", "flower", **environ) as flower:
        wait_until(flower.listens_on, "Flower listens")
        assert flower.listens_on() == {("127.0.0.1", port)}
        assert flower.said().startswith(f"Flower: http://127.0.0.1:{port}\n")


def test_flower_elsewhere_wants_a_password(redis_server: RedisServer, tmp_path: Path) -> None:
    environ = given(redis_server, FLOWER_ADDRESS="0.0.0.0", FLOWER_PORT=str(free_port()))
    with running(tmp_path / "log", "flower", **environ) as flower:
        assert flower.ended() == 2
        assert flower.said() == (
            "flower: on 0.0.0.0 everybody could look in; set FLOWER_BASIC_AUTH=user:password\n"
        )


def test_no_argument_opens_flower_unseen(redis_server: RedisServer, tmp_path: Path) -> None:
    environ = given(redis_server, FLOWER_PORT=str(free_port()))
    with running(tmp_path / "log", "flower", "--address=0.0.0.0", **environ) as flower:
        wait_until(flower.listens_on, "Flower listens")
        assert {address for address, _ in flower.listens_on()} == {"127.0.0.1"}


def test_flower_elsewhere_lets_in_who_has_the_password(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    port, secret = free_port(), tmp_path / "secret"
    secret.write_text("ops:s3cret\n")
    environ = given(redis_server, FLOWER_ADDRESS="0.0.0.0", FLOWER_PORT=str(port))
    environ["FLOWER_BASIC_AUTH_FILE"] = str(secret)
    with running(tmp_path / "log", "flower", **environ) as flower:
        wait_until(flower.listens_on, "Flower listens")
        assert flower.listens_on() == {("0.0.0.0", port)}
        assert flower.said().startswith(f"Flower: http://0.0.0.0:{port}\n")
        with pytest.raises(HTTPError, match="401"):
            OPENER.open(f"http://127.0.0.1:{port}/workers", timeout=10)


def test_in_a_container_the_published_address_counts(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    port = free_port()
    environ = given(redis_server, FLOWER_ADDRESS="0.0.0.0", FLOWER_PORT=str(port))
    environ |= {"FLOWER_PUBLISHED": "127.0.0.1", "FLOWER_BASIC_AUTH": ""}
    with running(tmp_path / "log", "flower", **environ) as flower:
        wait_until(flower.listens_on, "Flower listens")
        assert flower.listens_on() == {("0.0.0.0", port)}
        assert flower.said().startswith(f"Flower: http://127.0.0.1:{port}\n")
        with OPENER.open(f"http://127.0.0.1:{port}/healthcheck", timeout=10) as answer:
            assert answer.read() == b"OK"


# --- names -----------------------------------------------------------------------------------


def nodes(redis: RedisServer) -> set[str]:
    """Ask who is there, as Flower does."""
    ran = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker.app", "inspect", "ping", "--json"],
        cwd=ROOT,
        env=settings.environment() | given(redis),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return set(json.loads(ran.stdout))


def test_two_of_one_host_have_two_names(redis_server: RedisServer, tmp_path: Path) -> None:
    redis_server.client.flushall()
    environ = given(redis_server, AWS_ENDPOINT_URL_SESV2="http://127.0.0.1:9")
    kinds = ("worker", "worker", "producer", "producer")
    logs = [tmp_path / f"log{number}" for number in range(len(kinds))]
    started = [Process(log, kind, **environ) for log, kind in zip(logs, kinds, strict=True)]
    try:
        for process, kind in zip(started, kinds, strict=True):
            wait_until(lambda p=process, k=kind: f"{k}.ready" in p.said(), f"a {kind} is ready")
        named = {name.partition("@")[0] for name in nodes(redis_server)}
        assert named == {f"{k}-{p.pid}" for p, k in zip(started, kinds, strict=True)}
    finally:
        for process in started:
            process.end()


# --- ends ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["worker", "producer"])
def test_ctrl_c_is_no_failure(redis_server: RedisServer, tmp_path: Path, kind: str) -> None:
    environ = given(redis_server, AWS_ENDPOINT_URL_SESV2="http://127.0.0.1:9")
    with running(tmp_path / "log", kind, **environ) as process:
        wait_until(lambda: f"{kind}.ready" in process.said(), f"the {kind} is ready")
        process.signal(signal.SIGINT)
        assert process.ended() == 0
        assert "Warm shutdown" in process.said()


# --- secrets ---------------------------------------------------------------------------------


def test_a_secret_may_be_a_file(redis_server: RedisServer, tmp_path: Path) -> None:
    url = tmp_path / "redis_url"
    url.write_text(redis_server.url + "\n")
    environ = given(
        redis_server, POSTROOM_REDIS_URL_FILE=str(url), POSTROOM_REDIS_URL="redis://x/0"
    )
    with running(tmp_path / "log", "postroom", "list", **environ) as listing:
        assert listing.ended() == 0, listing.said()


def test_a_secret_that_cannot_be_read_is_named(redis_server: RedisServer, tmp_path: Path) -> None:
    environ = given(redis_server, AWS_SECRET_ACCESS_KEY_FILE="/nowhere/key")
    with running(tmp_path / "log", "worker", **environ) as worker:
        assert worker.ended() == 2
        assert worker.said() == (
            "entrypoint.sh: AWS_SECRET_ACCESS_KEY_FILE: cannot read /nowhere/key\n"
        )
