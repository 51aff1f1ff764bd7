"""Tasks of ours that lie where nobody looks: published without our prefix.

A publisher without `broker_transport_options` puts them into a list that is named as the queue
is. https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html
"""

from typing import Final

from postroom.store.connection import Store

_LOOKED_AT: Final = 1_000
_OURS: Final = b'"postroom.'


def strays(store: Store, queue: str) -> int:
    """Count the tasks in the list that lacks our prefix; 0 where one of them is not ours."""
    if store.ask(lambda client: client.type(queue)) != b"list":
        return 0
    found: list[bytes] = store.ask(lambda client: client.lrange(queue, 0, _LOOKED_AT - 1))
    if not all(_OURS in one for one in found):
        return 0
    return int(store.ask(lambda client: client.llen(queue)))


def bring_home(store: Store, queue: str) -> int:
    """Move stray tasks to where they are read; return how many."""
    moved = 0
    home = f"{store.keys.prefix}celery:{queue}"
    for _ in range(strays(store, queue)):
        if store.ask(lambda client: client.lmove(queue, home, "RIGHT", "LEFT")) is None:
            break
        moved += 1
    return moved
