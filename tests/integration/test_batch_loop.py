"""What one task does with a batch that this process cannot send."""

import msgspec
import pytest

from postroom import clock
from postroom.model import BatchRef
from postroom.settings import Settings
from postroom.store.connection import Store
from tests.support import campaigns
from worker.runtime import build
from worker.stopping import Stopping


@pytest.mark.parametrize(("slots", "rest"), [(4, 0.5), (32, 4.0)])
def test_a_process_with_many_slots_hands_on_no_faster_than_one_with_few(
    store: Store, settings: Settings, slots: int, rest: float
) -> None:
    rests: list[float] = []

    class Resting(Stopping):
        def sleep(self, seconds: float) -> None:
            rests.append(seconds)

    own = msgspec.structs.replace(settings.worker, slots=slots)
    older = msgspec.structs.replace(settings, senders={}, worker=own)
    made = campaigns.make(store, settings, 1)
    worker = build(older, stopping=Resting(clock.monotonic, grace_seconds=1.0), store=store)
    try:
        worker.send_batch(BatchRef(campaign_id=made.id, number=0))
    finally:
        worker.publisher.close()
    assert rests == [rest]
