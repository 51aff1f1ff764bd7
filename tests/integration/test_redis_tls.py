"""`rediss://`: nobody but the Redis that was meant is ever told the password."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import kombu.exceptions
import msgspec
import pytest
from celery import Celery

from postroom import redis_url
from postroom.broker import queues
from postroom.broker.celery_config import Broker, celery_settings
from postroom.broker.publish import Publisher
from postroom.errors import BadInputError, StoreUnavailableError
from postroom.model import CampaignId
from postroom.settings import Redis, Settings
from postroom.store.connection import Store
from tests.support.celery_process import CeleryProcess
from tests.support.tls import Certificate, Listener, self_signed
from tests.support.waiting import wait_until

PASSWORD = "REDISPASSWORD"
Connect = Callable[[Redis], None]


def by_store(redis: Redis) -> None:
    store = Store(redis)
    try:
        store.seconds()
    finally:
        store.close()


def by_publisher(redis: Redis) -> None:
    publisher = Publisher(redis)
    try:
        publisher.split(CampaignId("c1"))
    finally:
        publisher.close()


def by_consumer(redis: Redis) -> None:
    app = Celery("worker", amqp=Broker, set_as_current=False)
    app.conf.update(celery_settings(redis, queue=queues.BATCHES, slots=1))
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)
            connection.default_channel.client.ping()
    except kombu.exceptions.OperationalError as error:
        raise StoreUnavailableError(str(error)) from None


CLIENTS: dict[str, Connect] = {
    "store": by_store,
    "publisher": by_publisher,
    "consumer": by_consumer,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def good(folder: Path) -> Certificate:
    return self_signed(folder, "127.0.0.1")


@pytest.fixture(scope="module")
def evil(folder: Path) -> Certificate:
    return self_signed(folder, "evil.example")


@pytest.fixture
def pretender(evil: Certificate) -> Iterator[Listener]:
    with Listener(evil) as listener:
        yield listener


@pytest.fixture
def meant(good: Certificate) -> Iterator[Listener]:
    with Listener(good) as listener:
        yield listener


def settings_of(settings: Settings, listener: Listener, options: str = "") -> Redis:
    url = f"rediss://postroom:{PASSWORD}@127.0.0.1:{listener.port}/0{options}"
    return msgspec.structs.replace(settings.redis, url=url, timeout_seconds=2.0)


@pytest.mark.parametrize("client", CLIENTS)
class TestWhoever:
    def test_cannot_prove_who_he_is_is_told_nothing(
        self, settings: Settings, pretender: Listener, client: str
    ) -> None:
        with pytest.raises(StoreUnavailableError):
            CLIENTS[client](settings_of(settings, pretender))
        wait_until(lambda: pretender.refused > 0, "the connection was refused")
        assert (pretender.handshakes, pretender.told) == (0, b"")

    def test_has_a_certificate_of_another_name_is_told_nothing(
        self, settings: Settings, pretender: Listener, evil: Certificate, client: str
    ) -> None:
        trusted = f"?ssl_ca_certs={evil.certificate}"
        with pytest.raises(StoreUnavailableError):
            CLIENTS[client](settings_of(settings, pretender, trusted))
        wait_until(lambda: pretender.refused > 0, "the connection was refused")
        assert (pretender.handshakes, pretender.told) == (0, b"")

    def test_is_the_one_that_was_meant_is_spoken_to(
        self, settings: Settings, meant: Listener, good: Certificate, client: str
    ) -> None:
        trusted = f"?ssl_ca_certs={good.certificate}"
        with pytest.raises(StoreUnavailableError):  # It answers nothing.
            CLIENTS[client](settings_of(settings, meant, trusted))
        assert PASSWORD.encode() in meant.told

    @pytest.mark.parametrize("words", ["ssl_cert_reqs=none", "ssl_check_hostname=no"])
    def test_the_operator_lets_pass_is_spoken_to(
        self, settings: Settings, pretender: Listener, evil: Certificate, client: str, words: str
    ) -> None:
        """redis-py's own words in the address, for both clients."""
        options = f"?{words}&ssl_ca_certs={evil.certificate}"
        with pytest.raises(StoreUnavailableError):
            CLIENTS[client](settings_of(settings, pretender, options))
        assert PASSWORD.encode() in pretender.told


def test_a_worker_process_tells_a_pretender_nothing(pretender: Listener, tmp_path: Path) -> None:
    url = f"rediss://postroom:{PASSWORD}@127.0.0.1:{pretender.port}/0"
    worker = CeleryProcess("worker.app", tmp_path / "log", {"POSTROOM_REDIS_URL": url})
    try:
        wait_until(lambda: pretender.refused >= 3, "store and broker tried", seconds=40)
        assert (pretender.handshakes, pretender.told) == (0, b"")
        worker.signal(signal.SIGTERM)
        assert PASSWORD not in worker.said()
    finally:
        worker.end()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://user:pa/ss#wd@host:6379/0", "not redis://"),
        ("redis://user:pa#sswd@host", "not redis://"),
        ("redis://user:12/sswd@host", "not redis://"),
        ("redis://user:pa?sswd=1@host", "not redis://"),
        ("http://user:passwd@host", "not redis://"),
        ("unix:///run/redis.sock", "not redis://"),
        ("redis://host:99999", "not redis://"),
        ("rediss://host?ssl_ca=x", "rediss:// has no option 'ssl_ca'; did you mean ssl_ca_"),
        ("redis://host?ssl_ca_certs=x", "redis:// has no option 'ssl_ca_certs'"),
        ("rediss://host?ssl_cert_reqs=maybe", "options: ssl_cert_reqs"),
    ],
)
def test_an_address_of_no_use_is_refused_in_one_line_without_its_password(
    settings: Settings, url: str, words: str
) -> None:
    redis = msgspec.structs.replace(settings.redis, url=url)
    for refuse in (redis_url.checked, lambda _: Store(redis), lambda _: Publisher(redis)):
        with pytest.raises(BadInputError) as refused:
            refuse(url)
        said = str(refused.value)
        assert words in said
        assert "POSTROOM_REDIS_URL" in said
        assert "\n" not in said
        for piece in ("pa/", "pa#", "sswd", "passwd", "12", "'pa'"):
            assert piece not in said
