"""What lasts as long as the run of the tests: a Redis, a local SES, the code of the processes."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from postroom import settings
from postroom.localstack import environment
from postroom.localstack.stack import LocalStack, Shape
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.testing.environment import clean, written
from postroom.testing.in_process import PostroomHere
from postroom.testing.processes import importable
from postroom.testing.ses import LocalSes


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One a process: with pytest-xdist each has its own."""

    environ: Mapping[str, str]
    settings: Settings
    ses: LocalSes

    def afresh(self) -> PostroomHere:
        """Return a Postroom that nothing was ever handed to."""
        store = Store(self.settings.redis)
        store.ask(lambda client: client.flushall())
        store.close()
        self.ses.reset()
        return PostroomHere(self.settings, self.ses)


def started(stack: ExitStack, folder: Path, senders: Mapping[str, str]) -> Session:
    """Start it; `stack` ends it. Raises `LocalStackError` saying what is missing."""
    root = stack.enter_context(importable())
    ses = LocalSes()
    ses.start()
    stack.callback(ses.stop)
    given = {**clean(), "POSTROOM_CONFIG": str(written(folder, senders))}
    nobody = Shape(workers=0, producers=0)
    redis = stack.enter_context(
        LocalStack(nobody, environ={**given, "AWS_ENDPOINT_URL_SESV2": ses.url})
    )
    environ = environment.made(given, redis_url=redis.redis_url, ses_url=ses.url, root=root)
    return Session(environ=environ, settings=settings.load(environ), ses=ses)
