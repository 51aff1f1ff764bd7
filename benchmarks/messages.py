"""Messages: how many a second, at what CPU, and what they take of Redis.

`send_many` from one thread and `send` from eight, each with two fields and a key of its own, two
worker slots of one process, rate unlimited, 40 ms a call.
"""

import threading
import time
from collections.abc import Callable, Sequence

from benchmarks.lab import HTML, TEXT, Lab, lab, report
from benchmarks.watching import Watch, until, watch
from postroom.errors import PostroomError
from postroom.localstack.stack import Shape
from postroom.model import Message, Recipient
from postroom.outgoing import Outgoing

MESSAGE = Message(subject="Your order {{ order }}", html=HTML, text=TEXT)
_MANY = (100, 1_000, 10_000, 100_000)
_ONE_BY_ONE = (100, 1_000, 10_000)
_THREADS = 8
_AT_ONCE = 1_000
_MEMORY = 20_000


def main() -> None:
    with lab(Shape(workers=1, latency_ms=40)) as room, watch(room) as see:
        _hand_in(room, 500, "warm", _many)
        until(lambda: see.accepted_in_all() == 500, "all are accepted")
        for count in _MANY:
            _measure("messages_send_many", see, count, _many)
        for count in _ONE_BY_ONE:
            _measure("messages_send", see, count, _one_by_one)
    _measure_memory()


def _measure(name: str, see: Watch, count: int, way: "_Way") -> None:
    before, cpu = see.accepted_in_all(), see.room.cpu()
    began = time.time()
    _hand_in(see.room, count, f"{name}-{count}-", way)
    handed_in = time.time() - began
    until(lambda: see.accepted_in_all() - before == count, "all are accepted")
    seconds = see.last_accepted_at() - began
    spent = {kind: after - cpu.get(kind, 0.0) for kind, after in see.room.cpu().items()}
    ours = sum(of for kind, of in spent.items() if kind != "simulator")
    report(
        name,
        messages=count,
        messages_per_second=count / seconds,
        handed_in_per_second=count / handed_in,
        cpu_us_per_message=ours / count * 1e6,
        cpu_us_by_process={kind: round(of / count * 1e6, 1) for kind, of in spent.items()},
    )


def _measure_memory() -> None:
    """Bytes of Redis for each message: while it waits for its account, and after its outcome."""
    with lab(Shape(workers=1, latency_ms=40)) as room, watch(room) as see:
        _hand_in(room, 5_000, "warm-", _many)  # Connections have buffers: they are no message's.
        until(lambda: see.accepted_in_all() == 5_000, "all are accepted")
        room.postroom.pause_account("local")
        empty = _used(see)
        _hand_in(room, _MEMORY, "memory-", _many)
        waiting = _used(see) - empty
        room.postroom.resume_account("local")
        until(lambda: see.accepted_in_all() == 5_000 + _MEMORY, "all are accepted")
        after = _used(see) - empty
    report(
        "messages_memory",
        messages=_MEMORY,
        waiting_bytes=waiting / _MEMORY,
        after_bytes=after / _MEMORY,
    )


def _used(see: Watch) -> int:
    return int(see.store.client.info("memory")["used_memory"])


_Way = Callable[[Lab, Sequence[Outgoing]], None]


def _hand_in(room: Lab, count: int, name: str, way: _Way) -> None:
    way(
        room,
        [
            Outgoing(
                MESSAGE,
                Recipient(
                    f"{name}{number}@example.org",
                    {"name": f"P {number}", "order": f"4711-{number}"},
                ),
                key=f"{name}{number}",
            )
            for number in range(count)
        ],
    )


def _many(room: Lab, messages: Sequence[Outgoing]) -> None:
    for at in range(0, len(messages), _AT_ONCE):
        for answer in room.postroom.send_many("news", messages[at : at + _AT_ONCE]):
            if isinstance(answer, PostroomError):
                raise SystemExit(str(answer))


def _one_by_one(room: Lab, messages: Sequence[Outgoing]) -> None:
    def work(own: Sequence[Outgoing]) -> None:
        for one in own:
            room.postroom.send("news", one.message, one.recipient, key=one.key)

    threads = [
        threading.Thread(target=work, args=(messages[at::_THREADS],)) for at in range(_THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
