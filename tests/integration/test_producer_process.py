"""Real producers: `celery -A producers.app worker`, killed and stopped in the middle."""

import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postroom.broker.publish import Publisher
from postroom.model import CampaignId, State
from tests.support.celery_process import CeleryProcess
from tests.support.client_harness import ClientHarness, campaign
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

CONFIG = """
[accounts.main]
region = "eu-west-1"
[senders.news]
account = "main"
from = "Shop <news@shop.example.com>"
"""
ROWS = 400_000

Start = Callable[..., CeleryProcess]


@pytest.fixture
def start(harness: ClientHarness, redis_server: RedisServer, tmp_path: Path) -> Iterator[Start]:
    config = tmp_path / "postroom.toml"
    config.write_text(CONFIG, encoding="utf-8")
    started: list[CeleryProcess] = []

    def one(*options: str, **environ: str) -> CeleryProcess:
        own = {"POSTROOM_REDIS_URL": redis_server.url, "POSTROOM_CONFIG": str(config), **environ}
        own["POSTROOM_PRODUCER__SOURCE_FOLDER"] = str(tmp_path)
        log = tmp_path / f"producer{len(started)}.log"
        name = f"producer{len(started)}@test"
        started.append(CeleryProcess("producers.app", log, own, "-n", name, *options))
        return started[-1]

    yield one
    for process in started:
        process.end()


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that takes a producer a second or two."""
    path = tmp_path_factory.mktemp("big") / "rows.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("email,name\nnobody,N\n")
        file.writelines(f"person{n}@x.example,Name{n}\n" for n in range(ROWS))
        file.writelines(f"Person{n}@x.example,Again\n" for n in range(50))
    return path


def nobody_lost_nobody_twice(harness: ClientHarness, campaign_id: CampaignId) -> None:
    totals = harness.checked(campaign_id).totals
    assert (totals.total, totals.invalid, totals.duplicate) == (ROWS, 1, 50)
    expected = Counter(f"person{n}@x.example" for n in range(ROWS))
    assert Counter(harness.emails(campaign_id)) == expected


def split_done(harness: ClientHarness, campaign_id: CampaignId) -> bool:
    key = harness.store.keys.campaign(campaign_id).campaign
    return bool(harness.store.client.hget(key, "split"))


def some_batches(harness: ClientHarness, campaign_id: CampaignId) -> int:
    key = harness.store.keys.campaign(campaign_id).campaign
    return int(harness.store.client.hget(key, "batches") or 0)


def test_a_producer_that_is_killed_is_followed_by_another(
    harness: ClientHarness, start: Start, big: Path
) -> None:
    first = start(POSTROOM_PRODUCER__LEASE_SECONDS="2", POSTROOM_REDIS__TIMEOUT_SECONDS="1")
    with big.open("rb") as raw:
        campaign_id = harness.post.submit(campaign(), raw=raw).id
    wait_until(lambda: some_batches(harness, campaign_id) >= 40, "the first batches are there")
    first.signal(signal.SIGKILL)
    first.ended()
    left = harness.checked(campaign_id).totals.total
    assert 0 < left < ROWS, "the producer was too fast to be killed in the middle"

    start(POSTROOM_PRODUCER__LEASE_SECONDS="2", POSTROOM_REDIS__TIMEOUT_SECONDS="1")
    # The lease lapses; then it is the workers' sweep that asks again. Here it is the test.
    publisher = Publisher(harness.settings.redis)

    def asked_until_done() -> bool:
        publisher.split(campaign_id)
        return split_done(harness, campaign_id)

    wait_until(asked_until_done, "another producer has split the rest", seconds=60)
    publisher.close()
    nobody_lost_nobody_twice(harness, campaign_id)


def test_a_producer_that_is_stopped_hands_on_at_once(
    harness: ClientHarness, start: Start, big: Path
) -> None:
    first = start()
    with big.open("rb") as raw:
        campaign_id = harness.post.submit(campaign(), raw=raw).id
    wait_until(lambda: some_batches(harness, campaign_id) >= 40, "the first batches are there")
    first.signal(signal.SIGSTOP)  # Else it may be through before the other is there.
    assert not split_done(harness, campaign_id)
    second = start()
    wait_until(lambda: "producer.ready" in second.said(), "the second producer is ready")
    first.signal(signal.SIGTERM)
    first.signal(signal.SIGCONT)
    assert first.ended() == 0
    # Far sooner than the lease of 30 seconds.
    wait_until(lambda: split_done(harness, campaign_id), "the second one went on")
    nobody_lost_nobody_twice(harness, campaign_id)
    assert "split.handed_on" in first.said()


def test_it_listens_to_its_own_queue_with_threads_and_says_so_in_json(start: Start) -> None:
    producer = start("-c", "3")
    wait_until(lambda: "producer.ready" in producer.said(), "the producer is ready")
    lines = [json.loads(line) for line in producer.said().splitlines() if line.startswith("{")]
    ready = next(line for line in lines if line["event"] == "producer.ready")
    assert ready["senders"] == ["news"]
    assert "mingle" not in producer.said()
    producer.signal(signal.SIGTERM)
    assert producer.ended() == 0


def test_a_redis_that_may_evict_is_refused_in_one_line(
    harness: ClientHarness, start: Start
) -> None:
    harness.store.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        producer = start()
        assert producer.ended() != 0
        assert "producer: Redis evicts keys when full" in producer.said()
        assert "Traceback" not in producer.said()
    finally:
        harness.store.client.config_set("maxmemory-policy", "noeviction")


def send_submit(harness: ClientHarness, *args: object) -> None:
    """Submit as a service does that has Celery but not Postroom: see docs/enqueue.md."""
    from celery import Celery

    app = Celery("shop", broker=harness.settings.redis.url, set_as_current=False)
    app.conf.broker_transport_options = {
        "global_keyprefix": "postroom:celery:",
        "priority_steps": [0],
    }
    app.send_task("postroom.submit", args=args, queue="campaigns", ignore_result=True)
    app.close()


def test_a_service_without_postroom_submits_by_task_name(
    harness: ClientHarness, start: Start, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_bytes(b"email,name\nann@x.example,Ann\n")
    start()
    record = {
        "name": "spring",
        "sender": "news",
        "subject": "Hi {{ name }}",
        "text": "Hello",
        "send_at": "2027-03-01T08:00:00+01:00",
        "lane": "transactional",
    }
    send_submit(harness, record, rows.as_uri(), "spring-2027")
    send_submit(harness, record, rows.as_uri(), "spring-2027")
    send_submit(harness, {**record, "sender": "nws"}, rows.as_uri(), "bad-1")
    send_submit(harness, {**record, "subjct": "x"}, rows.as_uri(), "bad-2")
    send_submit(harness, {"name": "no more"}, rows.as_uri(), "bad-3")
    wait_until(lambda: len(harness.post.list()) == 4, "all are taken in")
    (good,) = (one for one in harness.post.list() if one.state is not State.HALTED)
    wait_until(lambda: split_done(harness, good.id), "the good one is split")
    status = harness.checked(good.id)
    assert (status.state, status.totals.total) == (State.SCHEDULED, 1)
    reasons = sorted(one.reason for one in harness.post.list() if one.state is State.HALTED)
    assert reasons == [
        "campaign: Object missing required field `sender`",
        "campaign: unknown key 'subjct'",
        "sender: 'nws' is unknown; known: news",
    ]
    harness.post.cancel(next(one.id for one in harness.post.list() if one.state is State.HALTED))
