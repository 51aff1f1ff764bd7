"""The folder in which a local stack keeps its data for the next time."""

import fcntl
import os
from pathlib import Path

from postroom.localstack.program import LocalStackError


def held_lock(folder: Path) -> int:
    """Make the folder, for its owner alone; return a descriptor that locks it while it is open.

    Whoever inherits the descriptor holds the lock as well: the guard does, until Redis has
    ended. Raises `LocalStackError` when another stack has the folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise LocalStackError(f"another local stack is using the data in {folder}") from None
    return descriptor
