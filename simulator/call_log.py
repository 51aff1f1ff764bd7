"""Every request to the API: how many, how they ended, the last ones one by one."""

from collections import Counter, deque
from typing import NamedTuple


class Record(NamedTuple):
    """One request. `status` is 0 when the connection was cut instead of answered."""

    operation: str
    at: float
    status: int
    error: str | None
    entries: int
    accepted: int
    duration_ms: float
    fault: str | None


class CallLog:
    def __init__(self, kept: int) -> None:
        self.last: deque[Record] = deque(maxlen=kept)
        self.by_operation: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.open = 0

    def add(self, record: Record) -> None:
        self.last.append(record)
        self.by_operation[record.operation] += 1
        if record.error is not None:
            self.errors[record.error] += 1
