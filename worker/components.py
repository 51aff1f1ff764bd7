"""What the parts of a worker process stand on: settings, Redis, the broker and SES."""

import os
import socket
from dataclasses import dataclass
from functools import partial

from postroom import clock
from postroom.broker.publish import Publisher
from postroom.dispatch.finishing import Finishing
from postroom.health.announcing import OwnProcess
from postroom.meaning import meanings
from postroom.model import AccountName
from postroom.settings import Settings
from postroom.store import presence
from postroom.store.bindings import Bindings
from postroom.store.budget import Budget
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.ledger import Ledger
from worker.fitness import Fitness
from worker.sending.binding import Binding
from worker.ses.client import Clients
from worker.ses.whose import Whose
from worker.stopping import Stopping


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """One a process."""

    worker: str
    """`host:pid`."""
    settings: Settings
    stopping: Stopping
    store: Store
    budget: Budget
    ledger: Ledger
    dispatch: Dispatch
    publisher: Publisher
    finishing: Finishing
    clients: Clients
    fitness: Fitness
    whose: Whose
    binding: Binding
    process: OwnProcess


def build_components(
    settings: Settings, stopping: Stopping, store: Store | None = None
) -> Components:
    """Put it together, over a store of its own unless one is given.

    Nothing is asked of Redis or SES yet.
    """
    store = store or Store(settings.redis, client_name="postroom-worker")
    worker = f"{socket.gethostname()}:{os.getpid()}"
    publisher = Publisher(settings.redis)
    clients = Clients(settings)
    whose = Whose(clients)
    fitness = Fitness(
        clock.monotonic,
        worker,
        [AccountName(name) for name in settings.accounts],
        there=partial(presence.workers, store),
        agree_seconds=settings.worker.unfit_seconds,
    )
    return Components(
        worker=worker,
        settings=settings,
        stopping=stopping,
        store=store,
        budget=Budget(store),
        ledger=Ledger.from_settings(store, settings),
        dispatch=Dispatch(store, settings),
        publisher=publisher,
        finishing=Finishing.from_settings(store, settings, publisher),
        clients=clients,
        fitness=fitness,
        whose=whose,
        binding=Binding(
            means=meanings(settings),
            records=Bindings(store),
            fitness=fitness,
            number=whose.number,
        ),
        process=OwnProcess(settings),
    )
