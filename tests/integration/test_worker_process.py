"""Real Celery worker processes, real Redis, the local SES: what is mailed is counted there."""

import signal
from collections.abc import Callable, Iterator

import pytest
from celery import Celery

from postroom.broker import queues
from postroom.broker.publish import Publisher, transport_options
from postroom.dispatch.release import release
from postroom.model import AccountName, OnAmbiguous, State
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from tests.chaos.rig import Rig, Shape
from tests.support import campaigns
from tests.support.campaigns import PreparedCampaign
from tests.support.waiting import wait_until

SLOTS, CALL = 4, 50
MakeMade = Callable[..., PreparedCampaign]


@pytest.fixture(scope="module")
def harness() -> Iterator[Rig]:
    shape = Shape(
        workers=2,
        producers=0,
        slots=SLOTS,
        latency_ms=100.0,
        environ={"POSTROOM_DISPATCH__GRACE_SECONDS": "2"},
    )
    with Rig(shape) as rig:
        yield rig


@pytest.fixture
def rig(harness: Rig) -> Rig:
    """Two workers, and a local SES to which nothing is wrong."""
    harness.disarm()
    harness.ses_settings(latency_ms=100.0, latency_jitter_ms=0.0, access_keys=[])
    while len(harness.workers) < 2:
        harness.start_worker()
    harness.until(lambda: harness.workers_there() >= 2, "two workers are there")
    return harness


@pytest.fixture
def store(rig: Rig) -> Iterator[Store]:
    one = Store(rig.settings.redis)
    yield one
    one.close()


@pytest.fixture
def make(rig: Rig, store: Store) -> MakeMade:
    """Make a campaign that is split, and put it in line."""

    def made(recipients: int = 1000, *, batch_size: int = 100, **more: object) -> PreparedCampaign:
        one = campaigns.make(
            store,
            rig.settings,
            recipients,
            batch_size=batch_size,
            account=AccountName("local"),
            **more,
        )
        Dispatch(store, rig.settings).wake(one.route)
        return one

    return made


def over(rig: Rig, made: PreparedCampaign) -> bool:
    return rig.post.status(made.id).state is State.FINISHED


def under_way(rig: Rig, made: PreparedCampaign, share: float = 0.2) -> bool:
    return made.totals().accepted >= share * len(made.addresses)


def finish(rig: Rig, made: PreparedCampaign, *, seconds: float = 60) -> None:
    wait_until(lambda: over(rig, made), "the campaign is finished", seconds=seconds)


def assert_everybody_once(rig: Rig, made: PreparedCampaign) -> None:
    assert rig.accepted(made.id) == dict.fromkeys(made.addresses, 1)
    assert made.check_books().accepted == len(made.addresses)


def test_everybody_gets_exactly_one_mail(rig: Rig, make: MakeMade, store: Store) -> None:
    made = make(3000)
    finish(rig, made)
    assert_everybody_once(rig, made)
    wait_until(
        lambda: not store.client.zcard(store.keys.dispatch("out:bulk")), "all batches came back"
    )


def test_every_task_published_three_times_at_once(rig: Rig, make: MakeMade) -> None:
    made = make(1000)
    publisher = Publisher(rig.settings.redis)
    publisher.batches(
        [made.ref(number) for number in made.numbers for _ in range(3)], made.route.lane
    )
    publisher.close()
    finish(rig, made)
    assert_everybody_once(rig, made)


def test_messages_that_mean_nothing_do_no_harm(rig: Rig, make: MakeMade) -> None:
    waiting = make(100)
    app = Celery("stranger", broker=rig.settings.redis.url, set_as_current=False)
    app.conf.broker_transport_options = transport_options(rig.settings.redis.prefix)
    for args in (
        ["no-such-campaign", 0],
        [waiting.id, 9999],
        [waiting.id, -1],
        [waiting.id, "first"],
        [waiting.id],
        [],
        [None, None],
        [waiting.id, 0, "and more"],
        [{"campaign": waiting.id}, [0]],
    ):
        app.send_task(queues.SEND_BATCH, args=args, queue=queues.BATCHES)
    app.send_task("no.such.task", args=[1], queue=queues.BATCHES)
    app.close()
    made = make(500)
    finish(rig, made)
    finish(rig, waiting)
    assert_everybody_once(rig, made)
    assert_everybody_once(rig, waiting)
    assert all(worker.alive for worker in rig.workers)


@pytest.mark.parametrize("policy", list(OnAmbiguous))
def test_a_killed_worker_leaves_in_doubt_no_more_than_its_calls_in_flight(
    rig: Rig, make: MakeMade, policy: OnAmbiguous
) -> None:
    in_flight = SLOTS * CALL
    rig.ses_settings(latency_ms=300.0, latency_jitter_ms=150.0)
    made = make(3000, on_ambiguous=policy)
    wait_until(lambda: under_way(rig, made, 0.1), "it is under way")
    wait_until(lambda: made.totals().sending > in_flight // 2, "many calls are in flight")
    rig.kill_worker(0)
    finish(rig, made)
    totals, taken = made.check_books(), rig.accepted(made.id)
    if policy is OnAmbiguous.SKIP:
        assert max(taken.values()) == 1
        assert totals.ambiguous <= in_flight
        assert len(taken) >= totals.accepted == 3000 - totals.ambiguous
    else:
        assert set(taken) == set(made.addresses)
        assert totals.accepted == 3000
        assert sum(taken.values()) - 3000 <= in_flight


def test_a_stopped_worker_leaves_nothing_in_doubt(rig: Rig, make: MakeMade) -> None:
    rig.ses_settings(latency_ms=300.0)
    made = make(3000)
    wait_until(lambda: under_way(rig, made, 0.1), "it is under way")
    rig.reap(rig.ask_to_stop(0), 30)
    finish(rig, made)
    assert_everybody_once(rig, made)


def test_credentials_revoked_and_mended(rig: Rig, make: MakeMade) -> None:
    made = make(3000)
    wait_until(lambda: under_way(rig, made, 0.1), "it is under way")
    rig.ses_settings(access_keys=["somebody-else"])
    wait_until(lambda: rig.post.status(made.id).state is State.WAITING, "its account is halted")
    assert "credentials" in rig.post.status(made.id).reason
    wait_until(lambda: not made.totals().sending, "no call is in flight")
    stopped = made.check_books()
    assert stopped.pending == 3000 - stopped.accepted
    rig.ses_settings(access_keys=[])
    rig.post.resume(made.id)
    finish(rig, made)
    assert_everybody_once(rig, made)


def test_a_queue_flushed_by_hand_is_filled_again(rig: Rig, make: MakeMade, store: Store) -> None:
    """Stopped workers take nothing from it, so that all that was released is lost."""
    for worker in rig.workers:
        worker.signal(signal.SIGSTOP)
    made = make(1000)
    try:
        store.client.delete("postroom:celery:batches", "postroom:celery:unacked")
        Dispatch(store, rig.settings).announce("nobody", {made.route.lane: 8})
        publisher = Publisher(rig.settings.redis)
        assert release(Dispatch(store, rig.settings), publisher) > 0
        publisher.close()
        assert store.client.delete("postroom:celery:batches") == 1
    finally:
        for worker in rig.workers:
            worker.signal(signal.SIGCONT)
    finish(rig, made)
    assert_everybody_once(rig, made)


def test_after_a_pause_returned_no_call_begins(rig: Rig, make: MakeMade) -> None:
    made = make(4000)
    wait_until(lambda: under_way(rig, made, 0.1), "it is under way")
    rig.post.pause(made.id)
    paused = made.totals()
    wait_until(lambda: not made.totals().sending, "no call is in flight")
    stopped = made.check_books()
    assert 0 < stopped.accepted <= paused.accepted + paused.sending < 4000
    assert len(rig.accepted(made.id)) == stopped.accepted
    rig.post.resume(made.id)
    finish(rig, made)
    assert_everybody_once(rig, made)


def test_cancelled_the_rest_is_never_mailed(rig: Rig, make: MakeMade) -> None:
    made = make(4000)
    wait_until(lambda: under_way(rig, made, 0.1), "it is under way")
    rig.post.cancel(made.id)
    wait_until(lambda: made.field("finished_at"), "its books are closed")
    totals = made.check_books()
    assert totals.cancelled == 4000 - totals.accepted > 0
    assert rig.accepted(made.id) == dict.fromkeys(list(rig.accepted(made.id)), 1)
    assert len(rig.accepted(made.id)) == totals.accepted
