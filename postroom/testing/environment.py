"""What both fixtures stand on: settings with the senders of a test, and an environment."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from postroom import settings

_OURS: Final = ("POSTROOM_", "AWS_ENDPOINT_URL")
_ACCOUNT: Final = """\
[redis]
allow_eviction = true

[accounts.local]
region = "eu-west-1"
"""


def clean() -> dict[str, str]:
    """Return this process's environment without the Redis, settings and SES of real life.

    A test empties its Redis: it never uses one that it has not started itself.
    """
    return {
        name: value for name, value in settings.environment().items() if not name.startswith(_OURS)
    }


def replaced(
    put: Callable[[str, str], None],
    drop: Callable[[str], None],
    environ: Mapping[str, str],
) -> None:
    """Make this process's environment `environ`, by what undoes it after the test."""
    now = settings.environment()
    for name in now.keys() - environ.keys():
        drop(name)
    for name, value in environ.items():
        if now.get(name) != value:
            put(name, value)


def written(folder: Path, senders: Mapping[str, str]) -> Path:
    """Write settings in which each of the `senders` (name -> From) sends on one account."""
    file = folder / "postroom.toml"
    tables = [
        f'\n[senders.{_text(name)}]\naccount = "local"\nfrom = {_text(from_)}\n'
        for name, from_ in senders.items()
    ]
    file.write_text(_ACCOUNT + "".join(tables), encoding="utf-8")
    return file


def _text(value: str) -> str:
    """A JSON string is a TOML string, where nothing is escaped that need not be."""
    return json.dumps(value, ensure_ascii=False)
