"""A campaign goes by what its sender meant when it was split: real processes, real settings."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest

from postroom.client import Postroom
from postroom.errors import RefusedError
from postroom.model import Campaign, CampaignId, Message, SenderName, State
from postroom.store import presence
from postroom.store.connection import Store
from postroom.store.sender_registry import SenderRegistry
from tests.chaos.rig import Rig, Shape
from tests.support.campaigns import message_ref
from tests.support.waiting import wait_until

SHOP = "Shop <news@shop.example.com>"
STAGING = "STAGING <staging@shop.example.com>"


@pytest.fixture
def rig() -> Iterator[Rig]:
    environ = {"POSTROOM_WORKER__UNFIT_SECONDS": "4"}
    with Rig(Shape(workers=0, producers=1, slots=4, latency_ms=50.0, environ=environ)) as rig:
        yield rig


@pytest.fixture
def store(rig: Rig) -> Iterator[Store]:
    with closing(Store(rig.settings.redis)) as store:
        yield store


def config(folder: Path, from_: str = SHOP, *, account: str = "local", **more: str) -> str:
    """Write settings of a worker; return the variable that names them."""
    given = "".join(f"{name} = '{value}'\n" for name, value in more.items())
    path = folder / f"{len(list(folder.iterdir()))}.toml"
    path.write_text(
        "[accounts.local]\nregion = 'eu-west-1'\n[accounts.other]\nregion = 'eu-west-1'\n"
        f"[senders.news]\naccount = '{account}'\nfrom = '{from_}'\n{given}"
    )
    return f"POSTROOM_CONFIG={path}"


def start(rig: Rig, store: Store, *environs: tuple[str, ...]) -> None:
    for environ in environs:
        rig.start_worker(*environ)
    wait_until(
        lambda: len(presence.workers(store)) >= len(rig.workers) and presence.producers(store),
        "the processes are there",
        seconds=60,
    )


def submit(rig: Rig, recipients: int = 800) -> CampaignId:
    campaign = Campaign(
        name="Autumn", sender=SenderName("news"), subject="Hello", text="Dear", batch_size=20
    )
    return rig.post.submit(campaign, [f"user{at}@example.org" for at in range(recipients)]).id


def ended(rig: Rig, *campaigns: CampaignId, state: State = State.FINISHED) -> None:
    for one in campaigns:
        wait_until(
            lambda one=one: rig.post.status(one).state is state, f"it is {state}", seconds=60
        )


def senders(rig: Rig, campaign: CampaignId) -> Counter[str]:
    url = f"{rig.ses_url}/_simulator/mails?limit=5000&campaign={campaign}"
    with urlopen(url, timeout=10) as answer:
        mails: list[dict[str, Any]] = json.load(answer)["mails"]
    return Counter(mail["from"] for mail in mails)


def complaints(rig: Rig, words: str) -> list[tuple[str, str]]:
    return [(one.where, one.what) for one in rig.post.examine() if words in one.what]


def test_no_mail_leaves_by_a_worker_whose_sender_has_another_from(
    rig: Rig, store: Store, tmp_path: Path
) -> None:
    start(rig, store, (), (config(tmp_path, STAGING),))
    campaign = submit(rig)
    ended(rig, campaign)
    assert set(rig.accepted(campaign).values()) == {1}
    assert senders(rig, campaign) == {SHOP: 800}
    [(where, what)] = complaints(rig, "another From")
    assert where.startswith("worker ")
    assert where.endswith(f":{rig.workers[1].pid}")
    assert f"has another From for news: {STAGING} instead of {SHOP}" in what
    [odd] = [one for one in rig.post.processes() if one.troubles]
    assert f"worker {odd.name}" == where
    assert len(odd.troubles) == len(set(odd.troubles))


def test_a_message_of_a_service_without_settings_goes_by_the_producers_meaning(
    rig: Rig, store: Store, tmp_path: Path
) -> None:
    start(rig, store, (config(tmp_path, STAGING),), ())
    wait_until(lambda: SenderRegistry(store).meaning_of(SenderName("news")), "the meaning is told")
    message = Message(subject="Receipt", text="Thanks")
    bare = msgspec.structs.replace(rig.settings, senders={}, accounts={})
    with Postroom(settings=bare) as post:
        sent = [post.send("news", message, f"user{at}@example.org").id for at in range(30)]
    ended(rig, *sent)
    segments = {message_ref(one).campaign_id for one in sent}
    assert sum((senders(rig, one) for one in segments), Counter()) == {SHOP: 30}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"configuration_set": "staging"}, "another configuration set"),
        ({"account": "other"}, "another account"),
    ],
)
def test_nothing_halts_for_a_worker_that_means_something_else(
    rig: Rig, store: Store, tmp_path: Path, other: dict[str, str], told: str
) -> None:
    start(rig, store, (config(tmp_path, **other),), ())
    campaign = submit(rig)
    ended(rig, campaign)
    assert set(rig.accepted(campaign).values()) == {1}
    assert complaints(rig, told)


def test_with_no_right_worker_it_halts_and_goes_on_once_a_person_rebinds_it(
    rig: Rig, store: Store, tmp_path: Path
) -> None:
    changed = config(tmp_path, STAGING)
    start(rig, store, (changed,), (changed,))
    campaign = submit(rig, 200)
    ended(rig, campaign, state=State.HALTED)
    assert "another From" in rig.post.status(campaign).reason
    assert not senders(rig, campaign)
    # The producers too get the new settings.
    rig.kill_producer()
    rig.start_producer(changed)
    wait_until(lambda: rig.post.binding(campaign).changes, "the new meaning is known")
    [change] = rig.post.binding(campaign).changes
    assert (change.word, change.old, change.new) == ("From", SHOP, STAGING)
    rig.post.rebind(campaign)
    rig.post.resume(campaign)
    ended(rig, campaign)
    assert senders(rig, campaign) == {STAGING: 200}
    with pytest.raises(RefusedError, match="it is over"):
        rig.post.rebind(campaign)


def test_a_campaign_of_before_is_sent_by_any_worker(rig: Rig, store: Store, tmp_path: Path) -> None:
    rig.start_worker(config(tmp_path, STAGING))
    campaign = submit(rig, 100)
    wait_until(lambda: rig.post.status(campaign).totals.total == 100, "it is split")
    store.client.hdel(store.keys.campaign(campaign).campaign, "bound", "means")
    rig.post.resume(campaign)
    ended(rig, campaign)
    assert sum(senders(rig, campaign).values()) == 100
