"""The fixture `postroom`: client, producer, worker and local SES in this process, no Celery."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pkgutil import resolve_name
from typing import Final

from postroom import clock
from postroom.client import Postroom
from postroom.dispatch.release import take_one
from postroom.model import CampaignId, Mail, State
from postroom.settings import Settings
from postroom.store.connection import Step, Store
from postroom.store.live import Live
from postroom.testing.outbox import outbox_of
from postroom.testing.ses import LocalSes

_PAUSE_SECONDS: Final = 0.01
_SLOTS: Final = 4


class PostroomHere:
    """Sends when it is told to, in the thread that tells it: a test sees no race.

    `client` is a `Postroom`; one that the service makes itself uses the same Redis.
    """

    def __init__(self, settings: Settings, ses: LocalSes) -> None:
        self.redis_url: Final = settings.redis.url
        self.client: Final = Postroom(settings=settings)
        self._ses: Final = ses
        self._store: Final = Store(settings.redis, client_name="postroom-testing")
        self._live: Final = Live(self._store)
        self._producer: Final = resolve_name("producers.producer:Producer")(
            settings, self._store, threading.Event()
        )
        self._stopping: Final = resolve_name("worker.stopping:Stopping")(
            clock.monotonic, grace_seconds=settings.worker.grace_seconds
        )
        build = resolve_name("worker.runtime:build")
        self._worker: Final = build(settings, stopping=self._stopping, store=self._store)
        self._maintenance: Final = self._worker.maintenance()
        self._quota: Final = replace(self._maintenance.quota, threads=_AtOnce())
        self._heartbeat: Final = self._worker.heartbeat(_SLOTS)

    @property
    def outbox(self) -> list[Mail]:
        """All mails so far as their readers see them, oldest first. What waits is sent first."""
        self.work()
        return outbox_of(self._ses.mails())

    def work(self, seconds: float = 30.0) -> None:
        """Send all that may be sent now: not what is paused, halted or has its time to come.

        Raises `TimeoutError` when there is still something to be sent after so long.
        """
        deadline = clock.monotonic() + seconds
        while going := self._round():
            if clock.monotonic() > deadline:
                raise TimeoutError(f"still to be sent after {seconds:g} s: {', '.join(going)}")
            clock.sleep(_PAUSE_SECONDS)

    def close(self) -> None:
        self._stopping.ask()
        self._worker.publisher.close()
        self._store.close()
        self.client.close()

    def _round(self) -> list[CampaignId]:
        """Split and send what is there; return the campaigns that go on."""
        for campaign in self._live.campaigns():
            if campaign.sealed_at and campaign.may_send and not campaign.split:
                self._producer.split(campaign.id)
        self._quota.tick()
        # Room for batches exists only meanwhile: else a `send` would hand one to a Celery
        # worker, and there is none.
        self._heartbeat.beat()
        try:
            self._send_all()
        finally:
            self._heartbeat.retire()
        self._maintenance.janitor.sweep(now=self._store.seconds())
        return [one.id for one in self._live.campaigns() if self._goes_on(one.id)]

    def _send_all(self) -> None:
        for campaign in self._live.campaigns():
            if campaign.may_send and campaign.open and campaign.route:
                self._worker.dispatch.wake(campaign.route)
        dispatch, after = self._worker.dispatch, list[Step]()
        while taken := take_one(dispatch, serves=self._worker.fitness.serving(), after=after):
            self._worker.send_batch(taken.ref)
            after = [dispatch.ending(taken.route, taken.ticket, sent=0)]

    def _goes_on(self, campaign_id: CampaignId) -> bool:
        return self.client.status(campaign_id).state in (State.SPLITTING, State.SENDING)


class _AtOnce:
    """Reads an account on the thread that asks."""

    room: Final = 64

    def run(self, look: Callable[[], None]) -> None:
        look()
