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
from tests.support.office import Office, campaign
from tests.support.post import Post
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

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


def made(office: Office, on_finish: OnFinish = ON_FINISH, people: int = 3) -> CampaignId:
    """A campaign that is split."""
    rows = [f"p{at}@x.example" for at in range(people)]
    campaign_id = office.submitted(rows, on_finish=on_finish)
    office.split(campaign_id)
    return campaign_id


def finishing(office: Office) -> Finishing:
    publisher = Publisher(office.settings.redis)
    return Finishing.by(office.store, office.settings, publisher)


def live(office: Office) -> list[CampaignId]:
    return [one.id for one in Live(office.store).campaigns()]


def test_the_services_own_worker_hears_totals_and_no_address(
    office: Office, post: Post, serve: Serve
) -> None:
    campaign_id = made(office)
    post.worker.send_batch(BatchRef(campaign_id=campaign_id, number=0))
    heard = serve()
    wait_until(heard, "the service is told", seconds=30)
    [(told, ended, task_id, label)] = heard()
    assert isinstance(ended, dict)
    assert (told, task_id) == (campaign_id, f"{campaign_id}-over")
    assert (ended["state"], ended["total"], ended["accepted"]) == ("finished", 3, 3)
    assert "@" not in f"{ended}{label}"
    assert live(office) == []


def test_a_service_with_a_prefix_of_its_own_is_told_too(
    office: Office, post: Post, serve: Serve
) -> None:
    mine = OnFinish(task="shop.mail_done", queue="shop", prefix="shop:celery:")
    campaign_id = made(office, mine)
    heard = serve("shop:celery:")
    office.post.cancel(campaign_id)
    wait_until(heard, "the service is told", seconds=30)
    [(told, ended, *_)] = heard()
    assert isinstance(ended, dict)
    assert (told, ended["state"], ended["cancelled"]) == (campaign_id, "cancelled", 3)


def test_a_worker_that_dies_at_the_end_is_followed_by_the_janitor(
    office: Office, post: Post, serve: Serve
) -> None:
    campaign_id = made(office)
    # Settled and dated, and then nothing more.
    post.worker.sender.send(BatchRef(campaign_id=campaign_id, number=0), owner="dead")
    assert office.post.status(campaign_id).finished_at is not None
    assert not finishing(office).campaigns.retire(campaign_id)
    heard = serve()
    for _ in range(2):
        post.worker.upkeep().janitor.sweep(now=office.store.seconds())
    wait_until(heard, "the service is told", seconds=30)
    assert [told for told, *_ in heard()] == [campaign_id]
    assert live(office) == []


def test_a_death_between_the_task_and_the_note_repeats_the_same_task(
    office: Office, post: Post, serve: Serve
) -> None:
    campaign_id = made(office)
    post.worker.sender.send(BatchRef(campaign_id=campaign_id, number=0), owner="dead")
    one = finishing(office)
    due = one.callbacks.due(campaign_id)
    assert due is not None
    one.publisher.finished(due.on_finish, campaign_id, due.state, due.totals)  # And then it dies.
    post.worker.upkeep().janitor.sweep(now=office.store.seconds())
    heard = serve()
    wait_until(lambda: len(heard()) == 2, "the service is told twice", seconds=30)
    assert heard()[0] == heard()[1]


def test_nobody_is_told_before_the_end_and_a_broken_broker_delays_it(
    office: Office, post: Post
) -> None:
    campaign_id = made(office)
    queue = office.store.client
    finishing(office).tell(campaign_id)
    assert queue.llen("shop") == 0
    post.worker.sender.send(BatchRef(campaign_id=campaign_id, number=0), owner="me")
    queue.set("shop", "no list: nothing can be published")
    with pytest.raises(StoreUnavailableError):
        finishing(office).tell(campaign_id)
    assert live(office) == [campaign_id]
    queue.delete("shop")
    finishing(office).tell(campaign_id)
    finishing(office).tell(campaign_id)
    assert queue.llen("shop") == 1
    assert live(office) == []


def test_the_producer_tells_of_a_campaign_that_ends_with_the_split(office: Office) -> None:
    office.post.suppress("left@x.example", "asked to")
    campaign_id = office.submitted(["left@x.example"], on_finish=ON_FINISH)
    office.split(campaign_id)
    assert office.store.client.llen("shop") == 1
    assert live(office) == []


def test_a_queue_that_takes_nothing_keeps_the_janitor_from_no_other_campaign(
    office: Office, post: Post
) -> None:
    both = [made(office), made(office)]
    for campaign_id in both:
        post.worker.sender.send(BatchRef(campaign_id=campaign_id, number=0), owner="dead")
    other = made(office, OnFinish(task="shop.mail_done", queue="other"))
    post.worker.sender.send(BatchRef(campaign_id=other, number=0), owner="dead")
    office.store.client.set("shop", "no list: nothing can be published")
    post.worker.upkeep().janitor.sweep(now=office.store.seconds())
    assert live(office) == sorted(both)
    assert office.store.client.llen("other") == 1


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
    client: Postroom, office: Office, wrong: OnFinish
) -> None:
    with pytest.raises(BadInputError, match="on_finish"):
        client.submit(campaign(on_finish=wrong), ["ada@x.example"])
