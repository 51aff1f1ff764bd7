"""Celery takes a misspelt setting in silence; so each is looked up in its own lists."""

from types import SimpleNamespace

import pytest
from celery import Celery
from celery.app.defaults import DEFAULTS
from celery.exceptions import QueueNotFound
from kombu.transport.redis import Channel

from postroom.broker import queues
from postroom.broker.celery_config import celery_settings, keep_quiet
from postroom.settings import Settings


def test_every_setting_is_one_that_celery_knows(settings: Settings) -> None:
    unknown = celery_settings(settings.redis, queue="q", slots=1).keys() - set(DEFAULTS)
    assert unknown == set()


def test_every_transport_option_is_one_that_kombu_knows(settings: Settings) -> None:
    options = celery_settings(settings.redis, queue="q", slots=1)["broker_transport_options"]
    known = {*Channel.from_transport_options, "client_name"}
    assert options.keys() - known == set()


def test_a_worker_takes_its_own_queue_and_a_misspelt_one_is_refused(settings: Settings) -> None:
    app = Celery("t", set_as_current=False)
    app.conf.update(celery_settings(settings.redis, queue=queues.CAMPAIGNS, slots=3))
    assert list(app.amqp.queues) == [queues.CAMPAIGNS]
    assert (app.conf.worker_concurrency, app.conf.worker_pool) == (3, "threads")
    with pytest.raises(QueueNotFound):
        app.send_task("t", queue="campains")


def test_gossip_and_mingle_are_off() -> None:
    worker = SimpleNamespace(options={"without_gossip": False, "hostname": "w"})
    keep_quiet(worker)
    assert worker.options == {"without_gossip": True, "without_mingle": True, "hostname": "w"}
