"""HTTP connections, by where they lead: the accounts of one Region share theirs.

A connection knows no credentials, each request is signed by itself. With connections of its own
an account that sends little finds its last one closed by SES, and shakes hands for each call.
"""

from collections.abc import Hashable
from typing import Any, Final
from weakref import WeakValueDictionary


class Connections:
    """The pools of one process. A pool goes with the last client that uses it."""

    def __init__(self) -> None:
        self._pools: Final[WeakValueDictionary[Hashable, Any]] = WeakValueDictionary()

    def share(self, client: Any, way: Hashable) -> None:
        """Let a new client use the connections of those that go the same `way`."""
        # botocore takes no pool from outside; it asks `http_session` at each request.
        endpoint = client._endpoint
        endpoint.http_session = self._pools.setdefault(way, endpoint.http_session)

    def leave(self, client: Any) -> Any:
        """Let new clients use none of the connections of this one; return its pool."""
        pool = pool_of(client)
        for way in [one for one, known in self._pools.items() if known is pool]:
            self._pools.pop(way, None)
        return pool


def pool_of(client: Any) -> Any:
    """Return the connections that a client uses."""
    return client._endpoint.http_session
