"""When there is nothing more to watch."""

from typing import Final

from postroom.model import State, Status

_OVER: Final = frozenset({State.FINISHED, State.CANCELLED, State.EXPIRED, State.HALTED})


def over(status: Status) -> bool:
    """Whether nothing more will happen by itself: it ended, or it waits for a person."""
    if status.state is State.HALTED:
        return status.totals.sending == 0
    return status.state in _OVER and status.totals.pending + status.totals.sending == 0
