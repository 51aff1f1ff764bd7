"""A worker as `worker.runtime` puts it together, on real Redis, with the fake carrier as SES."""

import dataclasses
from typing import Any, Literal

import msgspec

from postroom import clock
from postroom.model import CampaignId
from postroom.settings import Settings
from postroom.store.budget import Allowance, Budget
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.ledger import Ledger
from postroom.wire import decode_batch
from tests.support import campaigns
from tests.support.campaigns import ACCOUNT, PreparedCampaign
from tests.support.fake_carrier import FakeCarrier
from worker import runtime
from worker.sending.sender import Sent
from worker.sending.work import CompiledCampaign, Work
from worker.stopping import Stopping


def quick(settings: Settings, **worker: Any) -> Settings:
    """The same settings with waits that suit a test."""
    retry = msgspec.structs.replace(
        settings.retry, base_seconds=0.001, cap_seconds=0.01, max_attempts=3, max_parks=2
    )
    return msgspec.structs.replace(
        settings, retry=retry, worker=msgspec.structs.replace(settings.worker, **worker)
    )


class WorkerHarness:
    """Everything between a Celery task and SES. One for each worker that a test plays."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        carrier: FakeCarrier,
        *,
        mode: Literal["auto", "bulk", "single"] = "auto",
    ) -> None:
        self.store, self.settings, self.carrier, self._mode = store, settings, carrier, mode
        self.budget, self.dispatch = Budget(store), Dispatch(store, settings)
        self.stopping = Stopping(clock.monotonic, grace_seconds=settings.worker.grace_seconds)
        self.ledger = Ledger.from_settings(store, settings)
        built = runtime.build(settings, stopping=self.stopping)
        self._cached = built.cache
        sender = dataclasses.replace(built.sender, cache=self._compiled)
        self.worker = dataclasses.replace(built, sender=sender, cache=self._compiled)

    def make(self, recipients: Any = 10, **more: Any) -> PreparedCampaign:
        return campaigns.make(self.store, self.settings, recipients, **more)

    def allow(self, *, rate: float = 1e6, quota: float = -1.0, **more: Any) -> None:
        """SES tells what the account may send; the bucket is full."""
        told: dict[str, Any] = {
            "sent": -1.0,
            "window_seconds": 86_400.0,
            "cells": 288,
            "burst_seconds": self.settings.limiter.burst_seconds,
            "increase_per_second": self.settings.limiter.increase_per_second,
            "requests_per_second": 0.0,
            "refresh_seconds": self.settings.limiter.refresh_seconds,
        }
        self.budget.observe(ACCOUNT, Allowance(rate=rate, quota=quota, **{**told, **more}))
        self.store.client.hset(self.store.keys.account(ACCOUNT).budget, "tokens", 1e9)

    def work_off(self, made: PreparedCampaign, number: int = 0, *, owner: str = "me") -> Sent:
        """Do one task, without asking for more work after it."""
        return self.worker.sender.send(made.ref(number), owner=owner)

    def opened(self, made: PreparedCampaign, number: int = 0) -> Work:
        """A batch in hand, before its first call."""
        claim = self.ledger.claim(made.ref(number), owner="me")
        recipients = decode_batch(claim.ref, claim.recipients).recipients
        return Work(claim, "me", self.worker.cache(made.id), recipients, claim.open())

    @property
    def used(self) -> int:
        return self.budget.status(ACCOUNT).used

    def close(self) -> None:
        self.stopping.ask()
        self.worker.publisher.close()
        self.worker.store.close()

    def _compiled(self, campaign_id: CampaignId) -> CompiledCampaign:
        compiled = self._cached(campaign_id)
        delivery = dataclasses.replace(compiled.delivery, carrier=self.carrier, mode=self._mode)
        return dataclasses.replace(compiled, delivery=delivery)
