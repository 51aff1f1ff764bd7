"""`make demo`, as a stranger runs it."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil

from postroom import settings

ROOT = Path(__file__).parent.parent.parent
MARK = "STARTED_BY"
CLEAN = {
    name: value
    for name, value in settings.environment().items()
    if not name.startswith(("POSTROOM_", "AWS_"))
}
STRANGER = CLEAN | {"POSTROOM_CONFIG": "/nowhere.toml", "AWS_PROFILE": "of-somebody"}


def running_with(mark: str) -> list[psutil.Process]:
    """Return the processes that inherited a mark: the demo's, whatever else runs here."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process)
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
    mark = uuid4().hex
    ran = demo("--json", environ=STRANGER | {MARK: mark})
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    status = told["status"]
    assert (status["state"], status["total"], status["accepted"]) == ("finished", 100, 100)
    assert told["mail"]["subject"].endswith(", your account is ready")
    assert told["ses"] == {"accepted": 100, "duplicates": 0}
    assert running_with(mark) == []


def test_the_demo_tells_its_progress_without_a_terminal() -> None:
    ran = demo(environ=CLEAN)
    assert ran.returncode == 0, ran.stderr
    assert "of 100" in ran.stderr
    assert "The books balance" in ran.stdout
    assert "A list of 100 people and a template became 100 mails" in ran.stdout
    assert "  | Subject: " in ran.stdout
    assert "your account is ready" in ran.stdout
    assert "\x1b" not in ran.stdout + ran.stderr
