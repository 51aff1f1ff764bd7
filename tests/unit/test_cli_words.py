"""What a person reads: numbers, spans, one line of a campaign, rows of a file."""

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rich.console import Console

from postroom import clock
from postroom.cli import checking, following, overview, rows, sampling, view, wording
from postroom.cli.console import notes, tables
from postroom.content.fields import fields_of
from postroom.errors import BadInputError
from postroom.estimate import time_needed
from postroom.model import Campaign, CampaignId, SenderName, State, Status, Totals
from postroom.redis_url import without_password
from postroom.views.records import status_record

STATUS = Status(
    id=CampaignId("c1"),
    name="Autumn",
    state=State.SENDING,
    reason="",
    totals=Totals(total=1000, pending=400, accepted=590, rejected=10),
    achieved_rate=198.04,
    allowed_rate=200.0,
    eta_seconds=2.02,
    started_at=1_790_000_000.0,
    finished_at=None,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (97_200, "1 d 3 h"),
    ],
)
def test_a_span_has_its_two_largest_units(seconds: float, words: str) -> None:
    assert wording.span(seconds) == words


@pytest.mark.parametrize(
    ("per_second", "words"), [(14, "14/s"), (13.96, "14/s"), (8.25, "8.2/s"), (1234.5, "1,234/s")]
)
def test_a_rate_has_the_digits_that_matter(per_second: float, words: str) -> None:
    assert wording.rate(per_second) == words


def test_a_moment_of_another_day_has_its_date() -> None:
    assert wording.moment(1_790_000_000) == "2026-09-21 14:13 UTC"
    assert wording.moment(clock.now()).count(":") == 2


def test_one_thing_has_no_plural() -> None:
    assert [wording.many(number, "row") for number in (0, 1, 1200)] == [
        "0 rows",
        "1 row",
        "1,200 rows",
    ]


def test_a_terminal_is_told_nothing_that_it_would_obey() -> None:
    assert (
        wording.printable("a\x1b[2Jb\r")
        == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}"
    )


def test_one_line_tells_how_a_campaign_stands() -> None:
    assert view.line(STATUS, "300 of 1,000 left of the quota") == (
        "sending  600 of 1,000 · accepted 590 · rejected 10 · 198/s of 200/s allowed · "
        "300 of 1,000 left of the quota · done in 2 s"
    )


def test_a_waiting_campaign_says_why() -> None:
    waiting = replace(STATUS, state=State.WAITING, reason="the quota is spent")
    assert view.line(waiting).endswith(" · the quota is spent")


def test_a_terminal_shows_bar_books_pace_and_reason() -> None:
    halted = replace(STATUS, state=State.HALTED, reason="SES refuses the From address")
    console = Console(width=60, force_terminal=True, color_system=None, record=True)
    with console.capture() as captured:
        console.print(view.block(halted, "300 of 1,000 left of the quota"))
    assert captured.get().splitlines() == [
        "Autumn  c1  halted",
        "━━━━━━━━━━━━━━━━━━━━━━━                  600 of 1,000 · 60 %",
        "accepted 590 · rejected 10",
        "300 of 1,000 left of the quota",
        "SES refuses the From address",
        "when that is mended: postroom resume c1",
    ]


def test_a_campaign_is_not_told_as_done_before_the_last_one() -> None:
    nearly = replace(STATUS, totals=Totals(total=1000, pending=1, accepted=999))
    console = Console(width=60)
    with console.capture() as captured:
        console.print(view.block(nearly))
    assert "999 of 1,000 · 99 %" in captured.get()


@pytest.mark.parametrize(
    ("change", "seconds"),
    [
        ({"state": State.PAUSED}, 0),
        ({"reason": "quota spent"}, 0),
        ({"totals": Totals(total=1000, pending=399, accepted=591, rejected=10)}, 2),
        ({}, 60),
        ({"reason": "goes on in 9 s"}, 60),
    ],
)
def test_a_log_of_a_watch_is_told_what_is_new(change: dict[str, Any], seconds: float) -> None:
    told = replace(STATUS, reason="goes on in 10 s" if seconds == 60 and change else "")
    assert following.patience(replace(told, **change), told) == seconds


def test_a_status_record_has_the_agreed_keys_in_their_order() -> None:
    assert " ".join(status_record(STATUS)) == (
        "id name state reason warning total pending sending accepted rejected suppressed ambiguous "
        "cancelled expired invalid duplicate delivered bounced complained achieved_rate "
        "allowed_rate eta_seconds started_at finished_at key created_at"
    )
    assert status_record(STATUS)["started_at"] == "2026-09-21T14:13:20.000Z"


@pytest.mark.parametrize(
    ("number", "sent", "seconds"),
    [(1000, 0, 100), (1000, 49_500, 86_400), (100_000, 0, 86_400), (100_001, 0, 2 * 86_400)],
)
def test_the_time_needed_minds_rate_and_quota(number: int, sent: int, seconds: float) -> None:
    assert time_needed(number, per_second=10, quota=50_000, sent=sent) == seconds


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://user:s3cret@host:6379/0?ssl_cert_reqs=none", "rediss://host:6379/0"),
    ],
)
def test_a_redis_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("\ufeffemail,first name\na@example.com,Ada\nb@example.com,Bo\n".encode(), 3),
        ("email;first name\na@example.com;Zoé\nb@example.com;Bo".encode("latin-1"), 3),
        (b'{"email": "a@example.com"}\n{"email": "b@example.com", "first_name": "Bo"}\n', 2),
    ],
)
def test_one_row_of_a_file_can_be_looked_at(tmp_path: Path, text: bytes, row: int, pack) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "recipients"
    path.write_bytes(pack(text))
    found = rows.nth(str(path), row)
    assert (found.email, found.fields) == ("b@example.com", {"first_name": "Bo"})
    assert rows.nth(str(path), None).email == "a@example.com"


def test_a_row_of_several_lines_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "recipients.csv"
    path.write_text('\nemail,note\na@example.com,"x\n\ny"\n,\nb@example.com,z\n', encoding="utf-8")
    assert rows.nth(str(path), None).fields == {"note": "x\n\ny"}
    assert rows.nth(str(path), 5).email == "b@example.com"


def test_the_first_rows_tell_what_no_mail_can_be_made_of(tmp_path: Path) -> None:
    path = tmp_path / "recipients.jsonl"
    lines = ['{"email": "a@example.com", "n": 1}', "{", '{"email": "b@example.com", "n": null}']
    lines += ['{"email": "c@example.com", "n": 0}']
    path.write_text("\n".join(lines), encoding="utf-8")
    campaign = Campaign(name="x", sender=SenderName("news"), subject="x", text="{{ 1 / n }}")
    with path.open("rb") as raw:
        seen = rows.begin(raw, fields_of(campaign), 100, email=None)
    told = [(row, found.split(":")[0]) for row, found in seen if isinstance(found, str)]
    assert told == [(2, "not JSON"), (3, "no 'n', which the templates use")]
    looked_at, bad = sampling.sample(seen, campaign)
    assert looked_at == 2
    assert [(row, why.split(":")[0]) for row, why in bad] == [(4, "text")]


def test_a_row_that_is_not_there_is_said(tmp_path: Path) -> None:
    path = tmp_path / "recipients.csv"
    path.write_text("email\na@example.com\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"recipients\.csv: no recipient in row 9"):
        rows.nth(str(path), 9)


def test_a_campaign_that_reached_nobody_is_no_success_in_green() -> None:
    done = replace(STATUS, state=State.FINISHED, finished_at=1.0, reason="")
    nobody = replace(done, totals=Totals(total=10, rejected=10))
    assert view.in_vain(nobody)
    assert view.style_of(nobody) == "bold yellow"
    for fine in (done, replace(done, totals=Totals())):
        assert not view.in_vain(fine)
        assert view.style_of(fine) == "bold green"


def test_a_warning_stands_below_the_books_and_on_the_line() -> None:
    warned = replace(STATUS, warning="row 2: not UTF-8")
    assert "row 2: not UTF-8" in view.line(warned)
    console = Console(width=100)
    with console.capture() as drawn:
        console.print(view.block(warned))
    assert "row 2: not UTF-8" in drawn.get()
    assert status_record(warned)["warning"] == "row 2: not UTF-8"


def test_what_others_wrote_is_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    shown = [replace(STATUS, name="a:fire:b", reason="root:x:0")]
    tables().print(overview.overview(shown, width=80))
    notes().print("on :fire:")
    said = capsys.readouterr()
    assert "a:fire:b" in said.out
    assert "root:x:0" in said.out
    assert "on :fire:" in said.err


class Asked(NamedTuple):
    findings: tuple[()] = ()
    rate: float | None = 10.0
    quota: float | None = 150.0
    sent: float | None = 0.0


@pytest.mark.parametrize(
    ("sent", "level", "left"),
    [(0.0, "ok", "150 of 150 left"), (150.0, "warning", "0 of 150 left"), (151, "warning", "0 of")],
)
def test_a_quota_that_is_spent_is_a_warning(sent: float, level: str, left: str) -> None:
    (_, quota), _ = checking._limits(Asked(sent=sent), 10)
    assert quota.level == level
    assert quota.detail.startswith(left)


def test_a_list_has_one_line_a_campaign_in_eighty_columns() -> None:
    reason = "account main is halted: the credentials were revoked; when that is mended: type it"
    many = [
        replace(STATUS, name="Rückruf Herbst " * 5, created_at=1_790_000_000.0),
        replace(STATUS, name="春の手紙", state=State.HALTED, reason=reason),
    ]
    console = Console(width=80)
    with console.capture() as captured:
        console.print(overview.overview(many, width=80))
    assert [line.rstrip() for line in captured.get().splitlines()] == [
        "id  when        state    accepted      name",
        "c1  2026-09-21  sending  590 of 1,000  Rückruf Herbst Rückruf Herbst Rückruf He…",
        "c1              halted   590 of 1,000  春の手紙",
        "    account main is halted: the credentials were revoked; when that is mended:",
        "    type it",
    ]
