"""Handing in a campaign: whole or not at all, and once for a key."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from postroom import ids
from postroom.client import Postroom
from postroom.errors import BadInputError, RefusedError, StoreUnavailableError, UnknownCampaignError
from postroom.model import CampaignId, Source, State, Submission
from postroom.settings import Sender, Settings
from postroom.store.connection import Store
from postroom.store.drafts import DraftGoneError, Drafts, digest
from postroom.store.sender_registry import SenderRegistry
from postroom.store.submit_keys import SILENCE_SECONDS
from tests.support.client_harness import ClientHarness, campaign
from tests.support.redis_server import RedisServer

ANN_AND_BOB = ["ann@x.example", "bob@x.example"]


def test_a_submitted_campaign_is_sealed_and_asked_to_be_split(harness: ClientHarness) -> None:
    campaign_id = harness.submitted(ANN_AND_BOB)
    client, keys = harness.store.client, harness.store.keys
    assert harness.post.status(campaign_id).state is State.SPLITTING
    assert client.ttl(keys.campaign(campaign_id).campaign) == -1
    assert client.ttl(keys.campaign(campaign_id).pages) == -1
    assert client.zrange(keys.live, 0, -1) == [campaign_id.encode()]
    assert client.llen("postroom:celery:campaigns") == 1
    assert b"x.example" not in b"".join(client.lrange("postroom:celery:campaigns", 0, -1))


def test_a_file_is_shipped_in_pages_and_comes_out_whole(harness: ClientHarness) -> None:
    rows = "".join(f"person{n}@x.example,{n * 7919}\n" for n in range(30_000))
    submission = harness.post.submit(campaign(), raw=io.BytesIO(f"email,n\n{rows}".encode()))
    pages = harness.store.client.hlen(harness.store.keys.campaign(submission.id).pages)
    assert pages == 1 + len(rows) // (256 * 1024)
    assert harness.split(submission.id).totals.total == 30_000


def test_the_same_key_again_is_the_same_campaign(harness: ClientHarness) -> None:
    first = harness.post.submit(campaign(), ANN_AND_BOB, key="spring")
    again = harness.post.submit(campaign(), ANN_AND_BOB, key="spring")
    other = harness.post.submit(campaign(subject="Other"), ["cy@x.example"], key="spring")
    assert (first.created, first.same_content) == (True, True)
    assert again == Submission(id=first.id, created=False, same_content=True)
    assert other == Submission(id=first.id, created=False, same_content=False)
    assert [status.id for status in harness.post.list()] == [first.id]
    assert harness.store.client.llen("postroom:celery:campaigns") == 1


def test_many_submitters_of_one_key_make_one_campaign(harness: ClientHarness) -> None:
    made: list[Submission] = []
    refused: list[Exception] = []

    def submit() -> None:
        try:
            made.append(harness.post.submit(campaign(), ANN_AND_BOB, key="spring"))
        except RefusedError as error:
            refused.append(error)

    threads = [Thread(target=submit) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) + len(refused) == 12
    assert sum(one.created for one in made) == 1
    assert len({one.id for one in made}) == 1
    assert len(harness.post.list()) == 1


def abandoned_draft(harness: ClientHarness, key: str) -> CampaignId:
    """Begin a submit with a key, as a process that is killed in the middle would leave it."""
    drafts = Drafts(harness.store, harness.settings.store)
    content, source = campaign(), Source()
    campaign_id = ids.new_campaign_id(lambda: 1.0)
    assert drafts.claim_key(key, campaign_id, digest=digest(content, source)) is None
    drafts.open(campaign_id, content, source, key=key)
    drafts.add_page(campaign_id, 0, b"page", key=key)
    return campaign_id


def age(harness: ClientHarness, key: str, seconds: float) -> None:
    name = harness.store.keys.submitted(key)
    touched = float(harness.store.client.hget(name, "touched") or 0)
    harness.store.client.hset(name, "touched", touched - seconds)


def test_a_key_in_use_is_refused_until_its_submitter_has_been_silent(
    harness: ClientHarness,
) -> None:
    abandoned = abandoned_draft(harness, "spring")
    with pytest.raises(RefusedError, match="another submit with it is under way"):
        harness.post.submit(campaign(), ANN_AND_BOB, key="spring")
    age(harness, "spring", SILENCE_SECONDS)
    submission = harness.post.submit(campaign(), ANN_AND_BOB, key="spring")
    assert submission.created
    assert [status.id for status in harness.post.list()] == [submission.id]
    with pytest.raises(UnknownCampaignError):
        harness.post.status(abandoned)


def test_a_submitter_who_comes_back_after_the_take_over_cannot_seal(harness: ClientHarness) -> None:
    class Slow:
        """Yields one address, lets another take the key over, then goes on."""

        def __iter__(self) -> Iterator[str]:
            yield "ann@x.example"
            age(harness, "spring", SILENCE_SECONDS)
            taken.append(harness.post.submit(campaign(), ANN_AND_BOB, key="spring"))
            yield "bob@x.example"

    taken: list[Submission] = []
    with Postroom(settings=harness.settings) as slow, pytest.raises(DraftGoneError):
        slow.submit(campaign(), Slow(), key="spring")
    assert taken[0].created
    assert [status.id for status in harness.post.list()] == [taken[0].id]


def test_a_key_whose_campaign_was_sealed_unnoticed_is_not_sent_twice(
    harness: ClientHarness,
) -> None:
    first = harness.post.submit(campaign(), ANN_AND_BOB, key="spring")
    # As if the submitter had died between the seal and the note of it.
    harness.store.client.hset(harness.store.keys.submitted("spring"), "sealed", "")
    age(harness, "spring", SILENCE_SECONDS)
    again = harness.post.submit(campaign(), ANN_AND_BOB, key="spring")
    assert again == Submission(id=first.id, created=False)


def test_a_submitter_who_dies_leaves_a_draft_that_expires(harness: ClientHarness) -> None:
    abandoned_draft(harness, "spring")
    client = harness.store.client
    (status,) = harness.post.list()
    assert status.state is State.RECEIVING
    keys = harness.store.keys.campaign(status.id)
    keep = harness.settings.store.draft_seconds
    for key in (keys.campaign, keys.pages, harness.store.keys.submitted("spring")):
        assert keep - 5 < client.ttl(key) <= keep
    with pytest.raises(RefusedError, match="still being received"):
        harness.post.pause(status.id)
    client.delete(keys.campaign, keys.pages)
    assert harness.post.list() == []
    assert client.zcard(harness.store.keys.campaigns) == 0


def test_an_iterable_that_fails_leaves_nothing_and_frees_the_key(harness: ClientHarness) -> None:
    def failing() -> Iterator[str]:
        yield "ann@x.example"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        harness.post.submit(campaign(), failing(), key="spring")
    assert harness.post.list() == []
    assert harness.post.submit(campaign(), ANN_AND_BOB, key="spring").created


def test_redis_away_in_the_middle_is_told_and_only_a_draft_is_left(
    settings: Settings, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path)
    server.start()
    redis = msgspec.structs.replace(settings.redis, url=server.url, timeout_seconds=1.0)
    lines = (f"person{n}@x.example {'x' * 1000}" for n in range(3_000))

    def interrupted() -> Iterator[str]:
        for number, line in enumerate(lines):
            if number == 2_000:
                server.stop()
            yield line

    try:
        with (
            Postroom(settings=msgspec.structs.replace(settings, redis=redis)) as post,
            pytest.raises(StoreUnavailableError),
        ):
            post.submit(campaign(), interrupted())
        server.start()
        assert server.client.hget(server.client.keys("*}:campaign")[0], "sealed_at") == b""
        assert server.client.ttl(server.client.keys("*}:pages")[0]) > 0
    finally:
        server.stop()


def test_a_redis_that_is_nearly_full_takes_no_campaign_in(harness: ClientHarness) -> None:
    used = int(harness.store.client.info("memory")["used_memory"])
    harness.store.client.config_set("maxmemory", int(used * 1.05))
    try:
        with pytest.raises(StoreUnavailableError, match=r"Redis is \d+% full"):
            harness.submitted(ANN_AND_BOB)
    finally:
        harness.store.client.config_set("maxmemory", 0)
    assert harness.post.list() == []


def test_the_campaign_itself_is_checked_before_anything_is_stored(harness: ClientHarness) -> None:
    bad = [
        ({"sender": "nws"}, ANN_AND_BOB, "sender: 'nws' is unknown"),
        ({"text": "{{ oops"}, ANN_AND_BOB, "text, line 1"),
        ({}, None, "give exactly one of recipients, raw and source"),
    ]
    for changes, given, line in bad:
        with pytest.raises(BadInputError, match=line):
            harness.submitted(given, **changes)
    with pytest.raises(BadInputError, match="neither s3:// nor file:///"):
        harness.post.submit(campaign(), source="/tmp/x.csv")
    with pytest.raises(BadInputError, match="key: it must have"):
        harness.post.submit(campaign(), ANN_AND_BOB, key="")
    assert harness.store.client.keys("*") == []


def test_a_file_without_a_needed_column_is_refused_at_submit(harness: ClientHarness) -> None:
    with pytest.raises(BadInputError, match="no column name, which the templates use"):
        harness.post.submit(campaign(text="{{ name }}"), raw=io.BytesIO(b"email\nann@x.example\n"))
    with_default = campaign(text="{{ name }}", defaults={"name": "you"})
    assert harness.post.submit(with_default, raw=io.BytesIO(b"email\nann@x.example\n")).created


def test_a_file_that_was_opened_as_text_is_refused(harness: ClientHarness) -> None:
    with pytest.raises(BadInputError, match="open it with 'rb'"):
        harness.post.submit(campaign(), raw=io.StringIO("email\n"))  # type: ignore[arg-type]


def test_a_service_without_settings_knows_the_senders_of_the_running_processes(
    settings: Settings, store: Store
) -> None:
    bare = msgspec.structs.replace(settings, senders={}, accounts={})
    with Postroom(settings=bare) as post:
        with pytest.raises(BadInputError, match="nobody knows a sender yet"):
            post.submit(campaign(), ANN_AND_BOB)
        SenderRegistry(store).announce(
            {"news": Sender(account="main", from_="news@shop.example.com")}
        )
        assert post.submit(campaign(), ANN_AND_BOB).created
        with pytest.raises(BadInputError, match="'nws' is unknown; known: news"):
            post.submit(replace(campaign(), sender="nws"), ANN_AND_BOB)


def test_a_campaign_that_nobody_knows_is_unknown(harness: ClientHarness) -> None:
    nobody = ids.new_campaign_id(lambda: 1.0)
    for ask in (harness.post.status, harness.post.pause, harness.post.resume, harness.post.cancel):
        with pytest.raises(UnknownCampaignError):
            ask(nobody)
    with pytest.raises(UnknownCampaignError):
        list(harness.post.report(nobody))


def test_suppressed_addresses_are_kept_in_their_normal_form(harness: ClientHarness) -> None:
    harness.post.suppress(" Ann@X.example ", "asked by phone")
    assert list(harness.post.suppressed()) == [("ann@x.example", "asked by phone")]
    assert harness.post.unsuppress("ANN@x.example")
    assert not harness.post.unsuppress("ann@x.example")
    with pytest.raises(BadInputError, match="no @"):
        harness.post.suppress("ann", "x")
