"""The door of the command: what is missing, what went wrong, and the exit code.

0 done · 1 the thing failed · 2 bad input · 130 interrupted. One line on stderr says what
and where; a traceback is a bug of ours.
"""

import os
import sys
from collections.abc import Sequence

from postroom.cli.wording import printable
from postroom.errors import BadInputError, PostroomError


def main() -> None:
    """Run the command line of this process and exit."""
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough. Nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    try:
        from postroom.cli.app import invoke
    except ModuleNotFoundError as missing:
        if missing.name not in {"typer", "rich"}:
            raise
        return _said("the command line is not installed: pip install 'postroom[cli]'", 1)
    try:
        return invoke(arguments)
    except BadInputError as error:
        return _said(str(error), 2, notes=getattr(error, "__notes__", ()))
    except PostroomError as error:
        return _said(str(error), 1, notes=getattr(error, "__notes__", ()))
    except KeyboardInterrupt:
        return 130


def _said(line: str, code: int, *, notes: Sequence[str] = ()) -> int:
    """Write one line, and its notes below; somebody's file or log cannot move the cursor."""
    sys.stderr.write(f"postroom: {printable(line)}\n")
    for note in notes:
        sys.stderr.write(f"{printable(note)}\n")
    return code
