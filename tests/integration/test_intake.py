"""A campaign's source becomes batches: nobody lost, nobody twice, whatever the source is like."""

import gzip
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from postroom.content.template import Templates
from postroom.errors import BadInputError
from postroom.model import BadRow, CampaignId, Recipient, State
from postroom.remedies import after_halt
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.views.records import status_record
from producers.producer import Producer
from producers.retrying import StopRequested
from tests.support.client_harness import ClientHarness, campaign
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until


def table(count: int, *, start: int = 0) -> bytes:
    rows = (f"person{n}@x.example,Name{n}\n" for n in range(start, start + count))
    return ("email,name\n" + "".join(rows)).encode()


def ship(
    harness: ClientHarness, source: bytes, *, strict: bool = False, **changes: object
) -> CampaignId:
    return harness.post.submit(campaign(**changes), raw=io.BytesIO(source), strict=strict).id


def test_every_row_is_in_one_batch_in_the_order_of_the_source(harness: ClientHarness) -> None:
    campaign_id = ship(harness, table(1_234), batch_size=100)
    status = harness.split(campaign_id)
    assert (status.state, status.totals.pending) == (State.SENDING, 1_234)
    assert harness.emails(campaign_id) == [f"person{n}@x.example" for n in range(1_234)]
    assert harness.recipients(campaign_id)[7].fields == {"name": "Name7"}
    keys = harness.store.keys.campaign(campaign_id)
    due = harness.store.client.zrange(keys.due, 0, -1, withscores=True)
    assert sorted(int(number) for number, _ in due) == list(range(13))
    assert {score for _, score in due} == {0.0}
    assert harness.store.client.exists(keys.pages) == 0


def test_a_fault_that_nobody_foresaw_halts_the_campaign_in_place_of_coming_again(
    harness: ClientHarness,
) -> None:
    campaign_id = ship(harness, table(100))
    key = harness.store.keys.campaign(campaign_id).pages
    whole = harness.store.client.hget(key, "0")
    harness.store.client.hset(key, "0", b"not what was shipped")
    status = harness.split(campaign_id)
    assert (status.state, status.reason) == (
        State.HALTED,
        "the producer failed (error); see its log",
    )
    harness.store.client.hset(key, "0", whole)
    harness.post.resume(campaign_id)
    assert harness.split(campaign_id).totals.pending == 100


def test_json_rows_may_differ_in_their_fields(harness: ClientHarness) -> None:
    given = [{"email": "a@x.example", "n": 1}, "b@x.example", {"email": "c@x.example", "m": [2]}]
    campaign_id = harness.submitted(given)
    harness.split(campaign_id)
    fields = [dict(one.fields) for one in harness.recipients(campaign_id)]
    assert fields == [{"n": 1}, {}, {"m": [2]}]


@pytest.mark.parametrize("name", ["rows.csv", "rows of spring.csv.gz"])
def test_a_producer_reads_a_shared_file_itself(
    harness: ClientHarness, tmp_path: Path, name: str
) -> None:
    source = table(700)
    path = tmp_path / name
    path.write_bytes(gzip.compress(source) if name.endswith("gz") else source)
    submission = harness.post.submit(campaign(), source=path.as_uri())
    assert harness.split(submission.id).totals.total == 700


def test_bad_rows_are_counted_with_their_number_and_harm_no_other(harness: ClientHarness) -> None:
    source = b"email,name\na@x.example,A\nnobody,N\nb@x.example,B\nb@X.example,B\nc@x.example\n"
    campaign_id = ship(harness, source)
    totals = harness.split(campaign_id).totals
    assert (totals.total, totals.invalid, totals.duplicate) == (2, 2, 1)
    assert harness.post.bad_rows(campaign_id) == [
        BadRow(row=3, kind="invalid", reason="no @ in the address"),
        BadRow(row=5, kind="duplicate", reason="the address came before"),
        BadRow(row=6, kind="invalid", reason="1 cells, where the header has 2"),
    ]


def test_only_the_first_thousand_bad_rows_are_kept_but_all_are_counted(
    harness: ClientHarness,
) -> None:
    campaign_id = harness.submitted([f"nobody {n}" for n in range(2_500)] + ["a@x.example"])
    assert harness.split(campaign_id).totals.invalid == 2_500
    rows = [bad.row for bad in harness.post.bad_rows(campaign_id)]
    assert rows == list(range(1, 1_001))


def test_windows_1252_is_read_and_the_status_says_so(
    harness: ClientHarness, tmp_path: Path
) -> None:
    source = "email,name\na@x.example,12 € Jürg\n".encode("cp1252")
    campaign_id = ship(harness, source)
    status = harness.split(campaign_id)
    assert harness.recipients(campaign_id)[0].fields == {"name": "12 € Jürg"}
    (warning,) = harness.post.bad_rows(campaign_id)
    assert (warning.row, warning.kind) == (2, "warning")
    assert status.warning == "row 2: not UTF-8, read as Windows-1252: look at '€'"
    assert status_record(status)["warning"] == status.warning
    assert (status.totals.invalid, status.state) == (0, State.SENDING)
    (tmp_path / "rows").write_bytes(source)
    named = harness.post.submit(campaign(), source=(tmp_path / "rows").as_uri()).id
    assert harness.split(named).warning == "row 2: not UTF-8, read as Windows-1252: from here on"


@pytest.mark.parametrize("given", ["file", "iterable"])
def test_a_blank_field_is_lacking_and_the_default_applies(
    harness: ClientHarness, given: str
) -> None:
    people = [("a", "Ann"), ("b", ""), ("c", "  ")]
    changes = {"subject": "Hello {{ name }}!", "defaults": {"name": "friend"}}
    if given == "file":
        rows = "".join(f"{one}@x.example,{name}\n" for one, name in people)
        campaign_id = ship(harness, f"email,name\n{rows}".encode(), **changes)
    else:
        records = [{"email": f"{one}@x.example", "name": name} for one, name in people]
        campaign_id = harness.submitted(records, **changes)
    harness.split(campaign_id)
    templates = Templates(campaign(**changes))
    values = map(templates.values, harness.recipients(campaign_id))
    said = [templates.message(one).subject for one in values]
    assert said == ["Hello Ann!", "Hello friend!", "Hello friend!"]


def test_a_field_may_be_kept_blank(harness: ClientHarness) -> None:
    source = b"email,name\na@x.example,\n"
    kept = ship(harness, source, text="{{ name }}", keep_blank=["name"])
    harness.split(kept)
    assert harness.recipients(kept)[0].fields == {"name": ""}
    asked = ship(harness, source, text="{% if name %}{{ name }}{% endif %}")
    assert harness.split(asked).totals.pending == 1


@pytest.mark.parametrize("strict", [True, False])
def test_a_list_of_which_nobody_can_be_mailed_halts_and_tells_every_row(
    harness: ClientHarness, strict: bool
) -> None:
    campaign_id = ship(harness, b"email\nnobody\nno one\n", strict=strict)
    status = harness.split(campaign_id)
    assert status.state is State.HALTED
    assert status.reason == (
        "none of 2 rows can be mailed: row 2: no @ in the address; "
        "nothing was sent; submit a mended list"
    )
    assert after_halt(campaign_id, status.reason) == f"postroom cancel {campaign_id}"
    assert (status.totals.total, status.totals.invalid) == (0, 2)
    assert [row.row for row in harness.post.bad_rows(campaign_id)] == [2, 3]
    harness.post.resume(campaign_id)
    assert harness.split(campaign_id).state is State.HALTED
    assert [row.row for row in harness.post.bad_rows(campaign_id)] == [2, 3]


def test_an_empty_iterable_is_a_finished_campaign_of_nobody(harness: ClientHarness) -> None:
    status = harness.split(harness.submitted(iter(())))
    assert (status.state, status.totals.total) == (State.FINISHED, 0)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("a@x.example", "a str is one, where many are due"),
        (b"a@x.example", "a bytes is one"),
        ({"email": "a@x.example"}, "a dict is one"),
        (Recipient("a@x.example"), "a Recipient is one"),
        (7, "a int is no iterable"),
        ([{"mail": "a@x.example"}], "none of 1 can be mailed; recipient 1: no `email`"),
    ],
)
def test_what_is_no_list_of_people_is_refused_at_submit(
    harness: ClientHarness, given: object, why: str
) -> None:
    with pytest.raises(BadInputError, match=why):
        harness.submitted(given)
    assert harness.post.list() == []


def test_the_addresses_may_stand_in_another_column(harness: ClientHarness) -> None:
    given = [{"Work Mail": "a@x.example", "email": "b@x.example"}]
    campaign_id = harness.post.submit(campaign(), given, email_column="Work Mail").id
    harness.split(campaign_id)
    assert harness.emails(campaign_id) == ["a@x.example"]
    table = io.BytesIO(b"Work Mail;email\nc@x.example;x\n")
    campaign_id = harness.post.submit(campaign(), raw=table, email_column="Work Mail").id
    harness.split(campaign_id)
    assert harness.emails(campaign_id) == ["c@x.example"]


def test_suppressed_addresses_stay_in_the_books_and_are_not_pending(harness: ClientHarness) -> None:
    harness.post.suppress("PERSON3@x.example", "complained")
    campaign_id = ship(harness, table(5), batch_size=2)
    totals = harness.split(campaign_id).totals
    assert (totals.total, totals.pending, totals.suppressed) == (5, 4, 1)
    outcomes = {row.email: (row.outcome, row.reason) for row in harness.post.report(campaign_id)}
    assert outcomes["person3@x.example"] == ("suppressed", "on the suppression list")
    assert outcomes["person4@x.example"] == ("pending", "")


@pytest.mark.parametrize("rows", [[], ["a@x.example"]])
def test_a_campaign_with_nobody_to_mail_is_finished_at_once(
    harness: ClientHarness, rows: list[str]
) -> None:
    harness.post.suppress("a@x.example", "bounced")
    campaign_id = harness.submitted(rows)
    status = harness.split(campaign_id)
    assert (status.state, status.finished_at is None) == (State.FINISHED, False)
    client, keys = harness.store.client, harness.store.keys.campaign(campaign_id)
    assert 0 < client.ttl(keys.campaign) <= harness.settings.store.retention_seconds
    assert client.zcard(harness.store.keys.live) == 0


def test_strict_halts_with_all_bad_rows_and_lets_nothing_go(harness: ClientHarness) -> None:
    source = table(3_000) + b"nobody,N\n" + table(9_000, start=5_000)[len("email,name\n") :]
    source += b"no one,N\n"
    campaign_id = ship(harness, source, strict=True, batch_size=10)
    status = harness.split(campaign_id)
    assert status.state is State.HALTED
    assert status.reason == (
        "2 rows cannot be mailed, the first being row 3002: no @ in the address; "
        "strict: nothing was sent; submit a mended list"
    )
    assert after_halt(campaign_id, status.reason) == f"postroom cancel {campaign_id}"
    assert [row.row for row in harness.post.bad_rows(campaign_id)] == [3_002, 12_003]
    assert status.totals.invalid == 2
    assert due_now(harness, campaign_id) == 0
    assert harness.store.client.llen("postroom:celery:batches") == 0


def test_a_strict_campaign_without_bad_rows_goes_when_all_are_read(harness: ClientHarness) -> None:
    campaign_id = ship(harness, table(30), strict=True, batch_size=10)
    assert harness.split(campaign_id).totals.pending == 30
    assert due_now(harness, campaign_id) == 3


def due_now(harness: ClientHarness, campaign_id: CampaignId) -> int:
    due = harness.store.keys.campaign(campaign_id).due
    return int(harness.store.client.zcount(due, 0, harness.store.seconds()))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("file:///no/such/file.csv", "/no/such/file.csv: No such file or directory"),
        (b"", "recipients: the file is empty"),
        (b"name\nAnn\n", "recipients: no column `email`"),
        (b"email\na@x.example\n", "recipients: no column name, which the templates use"),
        (gzip.compress(table(50_000), mtime=0)[:-20], "the gzip file ends too early"),
    ],
    ids=["missing", "empty", "no address", "no field", "broken"],
)
def test_a_source_that_cannot_be_read_halts_with_one_clear_line(
    harness: ClientHarness, tmp_path: Path, source: str | bytes, reason: str
) -> None:
    if isinstance(source, bytes):
        path = tmp_path / "rows"
        path.write_bytes(source)
        source = path.as_uri()
    submission = harness.post.submit(campaign(text="{{ name }}"), source=source)
    status = harness.split(submission.id)
    assert status.state is State.HALTED
    assert status.reason.startswith(reason)
    assert "\n" not in status.reason


def test_a_mended_source_goes_on_after_resume(harness: ClientHarness, tmp_path: Path) -> None:
    whole = gzip.compress(table(60_000))
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(whole[:-20])
    submission = harness.post.submit(campaign(), source=path.as_uri())
    broken = harness.split(submission.id)
    assert broken.state is State.HALTED
    assert 0 < broken.totals.total < 60_000
    path.write_bytes(whole)
    harness.post.resume(submission.id)
    assert harness.store.client.llen("postroom:celery:campaigns") == 2
    assert harness.split(submission.id).totals.total == 60_000
    assert len(set(harness.emails(submission.id))) == 60_000


@pytest.mark.parametrize("other", ["shorter", "reordered"])
def test_another_source_under_the_same_name_is_refused_and_nobody_is_mixed_up(
    harness: ClientHarness, tmp_path: Path, other: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(table(5_000))
    submission = harness.post.submit(campaign(batch_size=10), source=path.as_uri())
    killed_after(harness, submission.id, 2)
    before = harness.checked(submission.id).totals
    first, *rows = table(5_000).splitlines(keepends=True)
    changed = rows[:30] if other == "shorter" else rows[::-1]
    path.write_bytes(first + b"".join(changed))
    lapse(harness, submission.id)
    status = harness.split(submission.id)
    assert status.state is State.HALTED
    assert status.reason.startswith("the source is another than the one that was read before")
    assert status.totals == before

    path.write_bytes(table(5_000))
    harness.post.resume(submission.id)
    assert harness.split(submission.id).totals.total == 5_000
    assert len(set(harness.emails(submission.id))) == 5_000


def test_a_sender_that_the_producer_does_not_know_halts_the_campaign(
    harness: ClientHarness, store: Store, settings: Settings
) -> None:
    campaign_id = harness.submitted(["a@x.example"])
    elsewhere = msgspec.structs.replace(settings, senders={})
    Producer(elsewhere, store, harness.stop).split(campaign_id)
    status = harness.post.status(campaign_id)
    assert (status.state, status.reason) == (
        State.HALTED,
        "this producer's settings have no sender 'news'",
    )
    harness.post.resume(campaign_id)
    assert harness.split(campaign_id).totals.pending == 1


def test_a_split_that_is_done_is_not_done_again(harness: ClientHarness) -> None:
    campaign_id = ship(harness, table(20))
    before = harness.split(campaign_id)
    assert harness.split(campaign_id) == before


class Interrupted(BaseException):  # A killed process cleans nothing up.
    pass


def killed_after(harness: ClientHarness, campaign_id: CampaignId, writes: int) -> None:
    """Split as a process that is killed after so many writes: nothing is cleaned up."""

    class Mortal(Store):
        left = writes

        def run(self, script: str, *args: object, **more: object) -> object:
            if script == "write_batches":
                if Mortal.left == 0:
                    raise Interrupted
                Mortal.left -= 1
            return super().run(script, *args, **more)  # type: ignore[arg-type]

    with pytest.raises(Interrupted):
        Producer(harness.settings, Mortal(harness.settings.redis), harness.stop).split(campaign_id)


def lapse(harness: ClientHarness, campaign_id: CampaignId) -> None:
    harness.store.client.hset(harness.store.keys.campaign(campaign_id).campaign, "split_until", "1")


def test_another_producer_goes_on_where_one_was_killed(harness: ClientHarness) -> None:
    source = table(4_000) + b"nobody,N\nperson7@x.example,N\n" + table(3_000, start=4_000)[11:]
    campaign_id = ship(harness, source, batch_size=30)
    for writes in (3, 0, 2):
        killed_after(harness, campaign_id, writes)
        harness.checked(campaign_id)
        lapse(harness, campaign_id)
    totals = harness.split(campaign_id).totals
    assert (totals.total, totals.invalid, totals.duplicate) == (7_000, 1, 1)
    assert Counter(harness.emails(campaign_id)) == Counter(
        f"person{n}@x.example" for n in range(7_000)
    )
    assert [bad.row for bad in harness.post.bad_rows(campaign_id)] == [4_002, 4_003]


def test_while_one_producer_is_at_work_another_leaves_the_campaign(harness: ClientHarness) -> None:
    campaign_id = ship(harness, table(2_000), batch_size=10)
    killed_after(harness, campaign_id, 1)
    before = harness.checked(campaign_id)
    assert harness.split(campaign_id) == before


def test_a_producer_that_was_taken_for_dead_writes_no_more(harness: ClientHarness) -> None:
    campaign_id = ship(harness, table(3_000), batch_size=10)
    others: list[int] = []

    class Overtaken(Store):
        def run(self, script: str, *args: object, **more: object) -> object:
            answer = super().run(script, *args, **more)  # type: ignore[arg-type]
            if script == "write_batches" and not others:
                lapse(harness, campaign_id)
                others.append(harness.split(campaign_id).totals.total)
            return answer

    Producer(harness.settings, Overtaken(harness.settings.redis), harness.stop).split(campaign_id)
    assert others == [3_000]
    assert harness.checked(campaign_id).totals.total == 3_000
    assert len(set(harness.emails(campaign_id))) == 3_000


def test_a_producer_that_is_asked_to_stop_hands_on_at_once(harness: ClientHarness) -> None:
    campaign_id = ship(harness, table(3_000), batch_size=10)

    class Stopping(Store):
        def run(self, script: str, *args: object, **more: object) -> object:
            if script == "write_batches":
                harness.stop.set()
            return super().run(script, *args, **more)  # type: ignore[arg-type]

    with pytest.raises(StopRequested):
        Producer(harness.settings, Stopping(harness.settings.redis), harness.stop).split(
            campaign_id
        )
    part = harness.checked(campaign_id)
    assert 0 < part.totals.total < 3_000
    with pytest.raises(StopRequested):
        harness.producer.split(campaign_id)
    harness.stop.clear()
    assert harness.split(campaign_id).totals.total == 3_000


@pytest.mark.parametrize("end", ["cancel", "expire"])
def test_a_campaign_that_is_stopped_while_it_is_split_takes_no_more(
    harness: ClientHarness, end: str
) -> None:
    campaign_id = ship(harness, table(3_000), batch_size=10)
    steer: Callable[[], object] = {
        "cancel": lambda: harness.post.cancel(campaign_id),
        "expire": lambda: harness.store.run(
            "steer_campaign", [harness.store.keys.campaign(campaign_id).campaign], ["expire"]
        ),
    }[end]
    written: list[int] = []

    class Steered(Store):
        def run(self, script: str, *args: object, **more: object) -> object:
            answer = super().run(script, *args, **more)  # type: ignore[arg-type]
            if script == "write_batches" and not written:
                written.append(harness.post.status(campaign_id).totals.total)
                steer()
            return answer

    Producer(harness.settings, Steered(harness.settings.redis), harness.stop).split(campaign_id)
    assert written == [harness.checked(campaign_id).totals.total]


def test_redis_away_in_the_middle_is_waited_for(settings: Settings, tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    redis = msgspec.structs.replace(settings.redis, url=server.url, timeout_seconds=1.0)
    own = msgspec.structs.replace(settings, redis=redis)
    try:
        harness = ClientHarness(Store(redis), own)
        campaign_id = ship(harness, table(100_000), batch_size=20)
        count = harness.store.keys.campaign(campaign_id).campaign
        work = Thread(target=harness.producer.split, args=[campaign_id])
        work.start()
        wait_until(lambda: server.client.hget(count, "batches"), "the first batches are there")
        server.stop()
        assert work.is_alive()
        server.start()
        work.join(timeout=30)
        assert not work.is_alive()
        assert harness.checked(campaign_id).totals.total == 100_000
        harness.close()
    finally:
        server.stop()


def test_a_producer_waits_while_redis_is_nearly_full(harness: ClientHarness) -> None:
    campaign_id = ship(harness, table(100))
    client = harness.store.client
    used = int(client.info("memory")["used_memory"])
    client.config_set("maxmemory", int(used * 1.05))
    work = Thread(target=harness.producer.split, args=[campaign_id])
    try:
        work.start()
        key = harness.store.keys.campaign(campaign_id).campaign
        wait_until(lambda: client.hget(key, "split_fence"), "the producer has begun")
        work.join(timeout=0.5)
        assert work.is_alive()
        assert harness.post.status(campaign_id).totals.total == 0
    finally:
        client.config_set("maxmemory", 0)
    work.join(timeout=30)
    assert harness.checked(campaign_id).totals.total == 100
