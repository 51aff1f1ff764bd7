"""`make demo`, as a stranger runs it."""

import json
import subprocess
import sys
from pathlib import Path

import psutil

from postroom import settings

ROOT = Path(__file__).parent.parent.parent
CLEAN = {
    name: value
    for name, value in settings.environment().items()
    if not name.startswith(("POSTROOM_", "AWS_"))
}
STRANGER = CLEAN | {"POSTROOM_CONFIG": "/nowhere.toml", "AWS_PROFILE": "of-somebody"}


def ours_running() -> set[int]:
    """Return the processes of any local stack."""
    marks = ("postroom.localstack.guard", "worker.app", "producers.app", "-m simulator")
    found = set()
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if any(mark in line for mark in marks):
            found.add(process.pid)
    return found


def demo(*arguments: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "postroom.cli", "demo", *arguments],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_demo_sends_to_everybody_and_leaves_nothing_running() -> None:
    before = ours_running()
    ran = demo("--json", environ=STRANGER)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    status = told["status"]
    assert (status["state"], status["total"], status["accepted"]) == ("finished", 100, 100)
    assert told["ses"] == {"accepted": 100, "duplicates": 0}
    assert ours_running() <= before


def test_the_demo_tells_its_progress_without_a_terminal() -> None:
    ran = demo(environ=CLEAN)
    assert ran.returncode == 0, ran.stderr
    assert "of 100" in ran.stderr
    assert "The books balance" in ran.stdout
    assert "\x1b" not in ran.stdout + ran.stderr
