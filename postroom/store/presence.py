"""Who is there: whether Redis answers, and which workers take batches."""

from postroom.errors import StoreUnavailableError
from postroom.model import Lane
from postroom.store.connection import Store


def answers(store: Store) -> bool:
    try:
        return bool(store.ask(lambda client: client.ping()))
    except StoreUnavailableError:
        return False


def workers(store: Store) -> int:
    """Count the worker processes whose announcement still holds; see `Dispatch.announce`."""
    key = store.keys.dispatch(f"slots:{Lane.BULK}")
    slots: list[bytes] = store.ask(lambda client: client.hvals(key))
    now = store.seconds()
    return sum(float(slot.decode().partition("|")[2]) > now for slot in slots)
