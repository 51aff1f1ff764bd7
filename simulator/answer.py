"""What passes between the HTTP side and the operations."""

from collections.abc import Mapping
from typing import NamedTuple

from simulator.account import Account


class Ask(NamedTuple):
    """What an operation is given of its request."""

    body: bytes
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    account: Account
    """The one that the request is made for."""


class Answer(NamedTuple):
    body: Mapping[str, object]
    entries: int = 0
    accepted: int = 0
