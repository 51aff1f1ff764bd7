"""Real workers in single mode while SES is slow: leases hold, and nobody is mailed twice."""

import threading
from collections.abc import Iterator

import pytest

from postroom import clock
from postroom.model import AccountName, OnAmbiguous, State
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from tests.chaos.rig import Rig, Shape
from tests.support import campaigns
from tests.support.campaigns import PreparedCampaign

CALLS, WORKERS, RECIPIENTS = 24, 2, 2_000
SLOW_MS, SLOW_SECONDS = 1_700.0, 8.0
"""Just below the time-out of the rig, and longer than its lease."""


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    shape = Shape(
        workers=WORKERS,
        producers=0,
        slots=12,
        latency_ms=40.0,
        environ={
            "POSTROOM_ACCOUNTS__LOCAL__SEND_MODE": "single",
            "POSTROOM_WORKER__SINGLE_CALLS": str(CALLS),
        },
    )
    with Rig(shape) as rig:
        yield rig


@pytest.fixture
def made(rig: Rig) -> Iterator[PreparedCampaign]:
    store = Store(rig.settings.redis)
    one = campaigns.make(
        store,
        rig.settings,
        RECIPIENTS,
        batch_size=100,
        account=AccountName("local"),
        on_ambiguous=OnAmbiguous.RESEND,
    )
    Dispatch(store, rig.settings).wake(one.route)
    yield one
    store.close()


def test_a_slow_ses_has_nobody_mailed_twice_and_a_pause_is_heeded(
    rig: Rig, made: PreparedCampaign
) -> None:
    most, over = [0], threading.Event()

    def look() -> None:
        while not over.is_set():
            most[0] = max(most[0], made.totals().sending)
            clock.sleep(0.01)

    looking = threading.Thread(target=look)
    looking.start()
    rig.until(lambda: made.totals().accepted > RECIPIENTS / 20, "mails are leaving")
    rig.ses_settings(latency_ms=SLOW_MS)
    slow_until = clock.monotonic() + SLOW_SECONDS
    rig.until(lambda: clock.monotonic() > slow_until, "SES was slow for longer than a lease")
    rig.post.pause(made.id)
    begun = made.totals().sending + rig.stats()["accepted"]
    rig.until(lambda: made.totals().sending == 0, "the calls in flight are settled")
    assert rig.stats()["accepted"] <= begun
    rig.ses_settings(latency_ms=40.0)
    rig.post.resume(made.id)
    rig.until(lambda: rig.post.status(made.id).state is State.FINISHED, "it is over")
    over.set()
    looking.join()
    assert 0 < most[0] <= CALLS * WORKERS
    counted = rig.accepted(made.id)
    assert (len(counted), max(counted.values())) == (RECIPIENTS, 1)
    assert made.check_books().accepted == RECIPIENTS
