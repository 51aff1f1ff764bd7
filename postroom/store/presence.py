"""Who is there: whether Redis answers, and which workers have announced themselves."""

from postroom.errors import StoreUnavailableError
from postroom.store.connection import Store


def answers(store: Store) -> bool:
    try:
        return bool(store.ask(lambda client: client.ping()))
    except StoreUnavailableError:
        return False


def workers(store: Store) -> int:
    """Count the worker processes that take batches."""
    return int(store.ask(lambda client: client.hlen(store.keys.dispatch("slots:bulk"))))
