"""A service with its own tests, run by a pytest of their own in a folder of their own."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from postroom import settings


def written(folder: Path, files: Mapping[str, str]) -> Path:
    """Write the files of a service; names are paths."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def run_tests(folder: Path, *, python: str = sys.executable) -> tuple[int, str]:
    """Run the tests of a service; return how they ended, and what was said."""
    ran = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no", "."],
        cwd=folder,
        # A Redis of real life must never be emptied.
        env=settings.environment() | {"POSTROOM_REDIS_URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return ran.returncode, ran.stdout + ran.stderr
