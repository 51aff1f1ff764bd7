"""`make setup` where the virtual environment is not whole, or cannot be made. No network."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from postroom import settings

ROOT = Path(__file__).parent.parent.parent
# Stands in for hatchling, which the lock would bring: an editable wheel of nothing.
BACKEND = """
import zipfile

def get_requires_for_build_editable(config_settings=None):
    return []

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "nothing-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        info = "nothing-1.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: nothing\\nVersion: 1\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with our Makefile, whose lock pins nothing."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.lock").write_text("# nothing\n")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "backend.py").write_text(BACKEND)
    return tmp_path


def made(checkout: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "setup", f"PYTHON={sys.executable}"],
        cwd=checkout,
        env=settings.environment() | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_half_a_virtual_environment_is_made_anew(checkout: Path) -> None:
    half = [sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"]
    subprocess.run(half, check=True)
    ran = made(checkout)
    assert ran.returncode == 0, ran.stderr
    assert "postroom: .venv is not whole; making it anew" in ran.stdout
    assert (checkout / ".venv" / ".ready").exists()
    again = made(checkout)
    assert (again.returncode, "anew" in again.stdout) == (0, False)


def test_without_the_venv_package_it_says_what_to_install(checkout: Path) -> None:
    bare = checkout / "debian"
    bare.mkdir()
    (bare / "ensurepip.py").write_text("raise ModuleNotFoundError('as without python3-venv')\n")
    ran = made(checkout, PYTHONPATH=str(bare))
    assert ran.returncode == 2
    said = [line for line in ran.stderr.splitlines() if not line.startswith("make")]
    assert said == [
        f"postroom: {sys.executable} cannot make virtual environments; "
        "on Debian: apt install python3-venv"
    ]
    assert not (checkout / ".venv").exists()
