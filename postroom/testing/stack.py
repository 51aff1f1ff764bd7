"""The fixture `postroom_stack`: real Celery producers and workers, each in its own process."""

from collections.abc import Mapping
from typing import Any, Final

from postroom import clock, settings
from postroom.client import Postroom
from postroom.localstack import simulator
from postroom.localstack.stack import LocalStack
from postroom.model import Mail
from postroom.store.connection import Store
from postroom.store.live import Live
from postroom.testing.outbox import outbox_of
from postroom.views.pace import over

_PAUSE_SECONDS: Final = 0.05
_MAILS: Final = 1_000
"""The local SES keeps so many whole."""


class PostroomStack:
    """A local stack that runs, and a `client` of it. Mails leave by themselves."""

    def __init__(self, stack: LocalStack) -> None:
        loaded = settings.load(stack.environ)
        self.stack: Final = stack
        self.environ: Final[Mapping[str, str]] = stack.environ
        """For processes of the service itself."""
        self.redis_url: Final = stack.redis_url
        self.client: Final = Postroom(settings=loaded)
        self._store: Final = Store(loaded.redis, client_name="postroom-testing")

    @property
    def outbox(self) -> list[Mail]:
        """The last thousand mails as their readers see them, oldest first, once all have left."""
        self.work()
        told: Mapping[str, Any] = simulator.asked(self.stack.ses_url, f"mails?limit={_MAILS}")
        return outbox_of(told["mails"])

    def work(self, seconds: float = 60.0) -> None:
        """Wait until every campaign and message is over. Raises `TimeoutError`."""
        deadline = clock.monotonic() + seconds
        while waiting := self._waiting():
            self.stack.check()
            if clock.monotonic() > deadline:
                raise TimeoutError(f"not over after {seconds:g} s: {', '.join(waiting)}")
            clock.sleep(_PAUSE_SECONDS)

    def close(self) -> None:
        self._store.close()
        self.client.close()

    def _waiting(self) -> list[str]:
        live = [one.id for one in Live(self._store).campaigns()]
        return [one for one in live if not over(self.client.status(one))]
