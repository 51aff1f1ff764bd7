"""`python -m postroom.localstack.guard FOLDER`: ends the local stack when its owner has died.

The owner writes `+PID` for every process group it starts and `-PID` for every one it has
ended, `=` when the folder is to stay, and keeps the pipe open. However the owner ends,
`kill -9` included, the kernel closes the pipe; what is left on the list is ended here, and the
folder is removed. (Linux' PR_SET_PDEATHSIG would not do: it fires when the starting
*thread* ends, and macOS has none.)
"""

import os
import shutil
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from postroom import clock

GRACE_SECONDS: Final = 10.0
KEEP: Final = "="
_PAUSE_SECONDS: Final = 0.05


def main() -> None:
    told = sys.stdin.read().split()
    for pid in left_over(told):
        end(pid)
    if KEEP not in told:
        shutil.rmtree(sys.argv[1], ignore_errors=True)


def left_over(told: Iterable[str]) -> list[int]:
    """Return what was started and not ended, newest first."""
    started: list[int] = []
    for line in told:
        if line[0] == "+":
            started.append(int(line[1:]))
        elif line[0] == "-":
            started.remove(int(line[1:]))
    return started[::-1]


def end(pid: int) -> None:
    """Ask a process to stop, wait for it, then kill its group."""
    deadline = clock.now() + GRACE_SECONDS
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGTERM)
        while _runs(pid) and clock.now() < deadline:
            clock.sleep(_PAUSE_SECONDS)
        os.killpg(pid, signal.SIGKILL)


def _runs(pid: int) -> bool:
    """Tell whether it still runs. In a container that reaps no orphans, the dead stay listed."""
    status = Path(f"/proc/{pid}/stat")
    if status.exists():
        return status.read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    os.kill(pid, 0)
    return True


if __name__ == "__main__":
    main()
