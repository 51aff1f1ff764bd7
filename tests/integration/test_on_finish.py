"""A service is told when its campaign is over: by a Celery task of its own, in its own worker."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postroom.broker.publish import Publisher
from postroom.client import Postroom
from postroom.dispatch.finishing import Finishing
from postroom.errors import BadInputError, StoreUnavailableError
from postroom.model import BatchRef, CampaignId, OnFinish
from postroom.store.live import Live
from tests.support.celery_process import CeleryProcess
from tests.support.client_harness import ClientHarness, campaign
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until
from tests.support.worker_harness import WorkerHarness

SERVICE = """
import json, os
from pathlib import Path
from celery import Celery

app = Celery("shop", broker=os.environ["SHOP_BROKER"])
app.conf.broker_transport_options = json.loads(os.environ["SHOP_TRANSPORT"])

@app.task(name="shop.mail_done", bind=True)
def mail_done(self, campaign_id, ended):
    line = json.dumps([campaign_id, ended, self.request.id, self.request.argsrepr])
    with Path(os.environ["SHOP_HEARD"]).open("a") as file:
        file.write(line + "\\n")
"""
ON_FINISH = OnFinish(task="shop.mail_done", queue="shop")
Heard = Callable[[], list[list[object]]]
Serve = Callable[..., Heard]


@pytest.fixture
def serve(redis_server: RedisServer, tmp_path: Path) -> Iterator[Serve]:
    """Starts the service's own Celery worker; returns what it has been told so far."""
    (tmp_path / "shop_service.py").write_text(SERVICE, encoding="utf-8")
    heard, started = tmp_path / "heard", []
    heard.touch()

    def told() -> list[list[object]]:
        return [json.loads(line) for line in heard.read_text().splitlines()]

    def start(prefix: str = "") -> Heard:
        environ = {
            "PYTHONPATH": str(tmp_path),
            "SHOP_BROKER": redis_server.url,
            "SHOP_TRANSPORT": json.dumps({"global_keyprefix": prefix} if prefix else {}),
            "SHOP_HEARD": str(heard),
        }
        options = ("-Q", "shop", "-P", "solo", "-n", "shop@test")
        started.append(CeleryProcess("shop_service", tmp_path / "shop.log", environ, *options))
        return told

    yield start
    for process in started:
        process.end()


def made(harness: ClientHarness, on_finish: OnFinish = ON_FINISH, people: int = 3) -> CampaignId:
    """A campaign that is split."""
    rows = [f"p{at}@x.example" for at in range(people)]
    campaign_id = harness.submitted(rows, on_finish=on_finish)
    harness.split(campaign_id)
    return campaign_id


def finishing(harness: ClientHarness) -> Finishing:
    publisher = Publisher(harness.settings.redis)
    return Finishing.from_settings(harness.store, harness.settings, publisher)


def live(harness: ClientHarness) -> list[CampaignId]:
    return [one.id for one in Live(harness.store).campaigns()]


def test_the_services_own_worker_hears_totals_and_no_address(
    harness: ClientHarness, post: WorkerHarness, serve: Serve
) -> None:
    campaign_id = made(harness)
    post.worker.send_batch(BatchRef(campaign_id=campaign_id, number=0))
    heard = serve()
    wait_until(heard, "the service is told", seconds=30)
    [(told, ended, task_id, label)] = heard()
    assert isinstance(ended, dict)
    assert (told, task_id) == (campaign_id, f"{campaign_id}-over")
    assert (ended["state"], ended["total"], ended["accepted"]) == ("finished", 3, 3)
    assert "@" not in f"{ended}{label}"
    assert live(harness) == []


def test_a_service_with_a_prefix_of_its_own_is_told_too(
    harness: ClientHarness, post: WorkerHarness, serve: Serve
) -> None:
    mine = OnFinish(task="shop.mail_done", queue="shop", prefix="shop:celery:")
    campaign_id = made(harness, mine)
    heard = serve("shop:celery:")
    harness.post.cancel(campaign_id)
    wait_until(heard, "the service is told", seconds=30)
    [(told, ended, *_)] = heard()
    assert isinstance(ended, dict)
    assert (told, ended["state"], ended["cancelled"]) == (campaign_id, "cancelled", 3)


def test_a_worker_that_dies_at_the_end_is_followed_by_the_janitor(
    harness: ClientHarness, post: WorkerHarness, serve: Serve
) -> None:
    campaign_id = made(harness)
    # Settled and dated, and then nothing more.
    post.worker.sender.send(BatchRef(campaign_id=campaign_id, number=0), owner="dead")
    assert harness.post.status(campaign_id).finished_at is not None
    assert not finishing(harness).campaigns.retire(campaign_id)
    heard = serve()
    for _ in range(2):
        post.worker.maintenance().janitor.sweep(now=harness.store.seconds())
    wait_until(heard, "the service is told", seconds=30)
    assert [told for told, *_ in heard()] == [campaign_id]
    assert live(harness) == []


def test_a_death_between_the_task_and_the_note_repeats_the_same_task(
    harness: ClientHarness, post: WorkerHarness, serve: Serve
) -> None:
    campaign_id = made(harness)
    post.worker.sender.send(BatchRef(campaign_id=campaign_id, number=0), owner="dead")
    one = finishing(harness)
    due = one.callbacks.due(campaign_id)
    assert due is not None
    one.publisher.finished(due.on_finish, campaign_id, due.state, due.totals)  # And then it dies.
    post.worker.maintenance().janitor.sweep(now=harness.store.seconds())
    heard = serve()
    wait_until(lambda: len(heard()) == 2, "the service is told twice", seconds=30)
    assert heard()[0] == heard()[1]


def test_nobody_is_told_before_the_end_and_a_broken_broker_delays_it(
    harness: ClientHarness, post: WorkerHarness
) -> None:
    campaign_id = made(harness)
    queue = harness.store.client
    finishing(harness).tell(campaign_id)
    assert queue.llen("shop") == 0
    post.worker.sender.send(BatchRef(campaign_id=campaign_id, number=0), owner="me")
    queue.set("shop", "no list: nothing can be published")
    with pytest.raises(StoreUnavailableError):
        finishing(harness).tell(campaign_id)
    assert live(harness) == [campaign_id]
    queue.delete("shop")
    finishing(harness).tell(campaign_id)
    finishing(harness).tell(campaign_id)
    assert queue.llen("shop") == 1
    assert live(harness) == []


def test_the_producer_tells_of_a_campaign_that_ends_with_the_split(harness: ClientHarness) -> None:
    harness.post.suppress("left@x.example", "asked to")
    campaign_id = harness.submitted(["left@x.example"], on_finish=ON_FINISH)
    harness.split(campaign_id)
    assert harness.store.client.llen("shop") == 1
    assert live(harness) == []


def test_a_queue_that_takes_nothing_keeps_the_janitor_from_no_other_campaign(
    harness: ClientHarness, post: WorkerHarness
) -> None:
    both = [made(harness), made(harness)]
    for campaign_id in both:
        post.worker.sender.send(BatchRef(campaign_id=campaign_id, number=0), owner="dead")
    other = made(harness, OnFinish(task="shop.mail_done", queue="other"))
    post.worker.sender.send(BatchRef(campaign_id=other, number=0), owner="dead")
    harness.store.client.set("shop", "no list: nothing can be published")
    post.worker.maintenance().janitor.sweep(now=harness.store.seconds())
    assert live(harness) == sorted(both)
    assert harness.store.client.llen("other") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        OnFinish(task="postroom.split", queue="shop"),
        OnFinish(task="shop.done", queue="a:b"),
        OnFinish(task="shop.done", queue="live", prefix="postroom:"),
        OnFinish(task="", queue="shop"),
    ],
)
def test_a_task_that_could_harm_our_own_records_is_refused(
    client: Postroom, harness: ClientHarness, wrong: OnFinish
) -> None:
    with pytest.raises(BadInputError, match="on_finish"):
        client.submit(campaign(on_finish=wrong), ["ada@x.example"])
