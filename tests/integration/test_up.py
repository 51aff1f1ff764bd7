"""`postroom up` as a person runs it: it outlives its processes, and keeps what it is told to."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from postroom import settings
from postroom.localstack.program import LocalStackError
from postroom.localstack.stack import LocalStack, Shape
from postroom.localstack.supervisor import Supervisor
from postroom.localstack.undisturbed import undisturbed
from tests.chaos.rig import SHORT
from tests.integration.test_demo import MARK, running_with
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
WELCOME = ROOT / "examples" / "welcome"
CLEAN = {
    name: value
    for name, value in settings.environment().items()
    if not name.startswith(("POSTROOM_", "AWS_"))
} | SHORT
"""Nobody of ours, with short leases: what a dead process held is soon another's."""


class Up:
    """A running `postroom up --json`."""

    def __init__(self, log: Path, *options: str, mark: str) -> None:
        self._log = log
        with log.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "postroom.cli", "up", "--json", *options],
                cwd=ROOT,
                env=CLEAN | {MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.said()
        self.environ: dict[str, str] = json.loads(line)

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def kill(self, *words: str) -> None:
        """Kill the child with these words on its command line, as soon as it is there."""
        wait_until(lambda: self._children(words), f"there is one with {words}")
        (child,) = self._children(words)
        child.kill()

    def _children(self, words: tuple[str, ...]) -> list[psutil.Process]:
        return [
            one
            for one in psutil.Process(self._process.pid).children()
            if one.status() != psutil.STATUS_ZOMBIE
            and all(any(word in part for part in one.cmdline()) for word in words)
        ]

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self._process.pid).children(recursive=True)

    def hears(self, text: str) -> None:
        wait_until(lambda: text in self.said(), f"it says {text!r}")

    def run(self, *arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "postroom.cli", *arguments],
            cwd=WELCOME,
            env=CLEAN | self.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        self._process.send_signal(how)
        code = self._process.wait(timeout=60)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code


@contextmanager
def up(log: Path, *options: str, mark: str = "") -> Iterator[Up]:
    running = Up(log, *options, mark=mark)
    try:
        yield running
    finally:
        if running._process.poll() is None:
            running.end()


def gone(processes: list[psutil.Process]) -> bool:
    return all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in processes)


def test_whatever_dies_is_said_and_replaced_and_the_campaign_is_sent(tmp_path: Path) -> None:
    with up(tmp_path / "log", "--rate", "20") as running:
        campaign = running.run("submit", "campaign.toml", "-r", "recipients.csv")
        for name, words in (
            ("worker1", ("worker.app",)),
            ("producer1", ("producers.app",)),
            ("redis", ("redis-server",)),
        ):
            running.kill(*words)
            running.hears(f"{name} died (killed by signal 9); starting another\n")
        wait_until(
            lambda: json.loads(running.run("status", campaign, "--json"))["state"] == "finished",
            "the campaign is finished",
            seconds=90,
        )
        assert running.end() == 0
        assert running.said().endswith("Nothing is left running.\n")


def test_what_cannot_be_replaced_leaves_its_logs(tmp_path: Path) -> None:
    with up(tmp_path / "log", "--producers", "0") as running:
        for number in (1, 2):
            running.kill("worker.app", f"worker{number}@")
            running.hears(f"worker{number} died")
        assert running.end() == 0
    left = re.search(r"worker2 had died; the logs stay in (\S+)", running.said())
    assert left is not None, running.said()
    folder = Path(left[1])
    assert (folder / "worker1.log").exists()
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def test_ended_while_it_replaces_somebody_it_leaves_nothing_running(tmp_path: Path) -> None:
    mark = uuid4().hex
    for _ in range(3):
        with up(tmp_path / "log", "--producers", "0", mark=mark) as running:
            running.kill("worker.app", "worker1@")
            running.hears("worker1 died")
            running.end()
        assert running_with(mark) == []


def test_what_must_be_whole_is_done_before_a_signal_is_taken() -> None:
    done: list[str] = []

    def in_two_steps() -> None:
        with undisturbed():
            signal.raise_signal(signal.SIGINT)
            done.append("second step")

    with pytest.raises(KeyboardInterrupt):
        in_two_steps()
    assert done == ["second step"]


def test_kill_9_leaves_nothing_running(tmp_path: Path) -> None:
    with up(tmp_path / "log", "--keep", "--data", str(tmp_path / "kept")) as running:
        left = running.children()
        assert len(left) >= 5
        running.end(signal.SIGKILL)
        wait_until(lambda: gone(left), "nothing of it runs")


def test_kept_data_is_there_the_next_time(tmp_path: Path) -> None:
    kept = ("--keep", "--data", str(tmp_path / "kept"))
    with up(tmp_path / "log1", *kept, "--rate", "10") as running:
        campaign = running.run("submit", "campaign.toml", "-r", "recipients.csv")
        left = running.children()
        running.end(signal.SIGKILL)
    wait_until(lambda: gone(left), "the first has let go of the data")
    with up(tmp_path / "log2", *kept, "--rate", "0") as running:
        wait_until(
            lambda: json.loads(running.run("status", campaign, "--json"))["state"] == "finished",
            "the campaign goes on, and ends",
            seconds=90,
        )
        assert running.end() == 0


def test_two_stacks_cannot_have_the_same_data(tmp_path: Path) -> None:
    shape = Shape(workers=0, producers=0)
    data = tmp_path / "kept"
    taken = pytest.raises(LocalStackError, match="another local stack is using the data in")
    with LocalStack(shape, environ=CLEAN, data=data), taken:
        LocalStack(shape, environ=CLEAN, data=data)
    with LocalStack(shape, environ=CLEAN, data=data):
        pass


def test_who_dies_again_and_again_is_started_ever_later_and_its_words_are_shown() -> None:
    said: list[str] = []
    with LocalStack(Shape(workers=0, producers=0), environ=CLEAN) as running:
        supervisor = Supervisor(running, said.append)
        # Whatever is started from here on cannot read its settings, and dies at once.
        running.environ["POSTROOM_CONFIG"] = "/nowhere.toml"
        running.start_worker()
        wait_until(lambda: supervisor.look() or len(said) > 4, "it gives the reason")
    deaths = [line for line in said if "died" in line]
    assert deaths[:3] == [
        "worker1 died (exit code 2); starting another",
        "worker2 died (exit code 2); starting another in 1 s",
        "worker3 died (exit code 2); starting another in 2 s",
    ]
    assert said[3] == "that is 3 in a row, each within 10 s of its start:"
    assert any("/nowhere.toml" in line and line.startswith("  | ") for line in said[4:])
