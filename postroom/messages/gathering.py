"""Callers of one process who append to one stream at the same time go together.

Nobody waits for another to come: who finds nobody on the way goes at once, and takes along
whoever has come by then. So eight threads need two round trips, not sixteen.
"""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Event, Lock
from typing import Final

from postroom.errors import MaybeSubmittedError
from postroom.messages.preparing import Prepared
from postroom.store.streams import Appended, Stream

MOST: Final = 1_000
"""Messages in one round trip: some hundreds of kilobytes."""

FollowUp = Callable[[], None]

Append = Callable[[Stream, Sequence[Prepared]], tuple[list[Appended], FollowUp]]
"""Appends, and returns what is to be done afterwards; nobody else waits for that."""


class _Caller:
    """What one caller brought, and what becomes of it."""

    def __init__(self, messages: Sequence[Prepared]) -> None:
        self.messages = messages
        self.turn = Event()
        """It is this caller's turn to go, or it is done."""
        self.leads = False
        self.answers: list[Appended] | None = None
        self.error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.answers is not None or self.error is not None

    def result(self) -> list[Appended]:
        if self.error is not None:
            raise self.error
        assert self.answers is not None
        return self.answers


class Gathering:
    """The callers for one stream. Safe to share between threads."""

    def __init__(self, stream: Stream, append: Append) -> None:
        self._stream: Final = stream
        self._append: Final = append
        self._lock: Final = Lock()
        self._waiting: Final[deque[_Caller]] = deque()
        self._going = False

    def append(self, messages: Sequence[Prepared]) -> list[Appended]:
        """Append up to `MOST` messages. Raises what the append of all who went along raised."""
        own = _Caller(messages)
        try:
            with self._lock:
                own.leads, self._going = not self._going, True
                self._waiting.append(own)
            if not own.leads:
                own.turn.wait()
            if not own.done:
                self._go()
        except BaseException:
            self._give_up(own)
            raise
        return own.result()

    def _go(self) -> None:
        """Take along who has come, then leave the lead to the next who waits."""
        together: list[_Caller] = []
        follow_up: FollowUp | None = None
        try:
            self._gather(together)
            messages = [one for caller in together for one in caller.messages]
            answers, follow_up = self._append(self._stream, messages)
            for caller in together:
                caller.answers, answers = (
                    answers[: len(caller.messages)],
                    answers[len(caller.messages) :],
                )
        except Exception as error:  # noqa: BLE001 - each of them gets to know
            for caller in together:
                caller.error = error
        except BaseException:  # This thread is to end: that is not the others' to raise.
            for caller in together:
                caller.error = MaybeSubmittedError("one that another thread took along")
            raise
        finally:
            for caller in together:
                caller.turn.set()
            self._hand_over()
        if follow_up is not None:
            follow_up()

    def _gather(self, taken: list[_Caller]) -> None:
        count = 0
        with self._lock:
            while self._waiting and (not taken or count + len(self._waiting[0].messages) <= MOST):
                taken.append(self._waiting.popleft())
                count += len(taken[-1].messages)

    def _hand_over(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting[0].turn.set()
            else:
                self._going = False

    def _give_up(self, own: _Caller) -> None:
        """Leave the line, for this thread is to end: the lead must not wait for it."""
        with self._lock:
            if own not in self._waiting:
                return
            self._waiting.remove(own)
        if own.leads or own.turn.is_set():
            self._hand_over()
