"""No text of others, however hostile, costs more than its length.

Python's `re` holds the GIL: what costs n² stops a whole process, its leases and its answers.
Looked at is how CPU time grows, never how long something takes.
"""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from postroom import campaign_file
from postroom.cli import following, rows, wording
from postroom.content import address, checks, sandbox
from postroom.content.advice import advice_on
from postroom.content.fields import Fields, filled
from postroom.errors import PostroomError
from postroom.intake import encoding, form, header
from postroom.intake.lines import Lines
from postroom.intake.reading import read_rows
from postroom.intake.unpacking import unpacked
from postroom.logs import redact_addresses
from postroom.model import Campaign, CampaignId, Recipient, SenderName
from postroom.settings import Sender
from postroom.submission import recipients
from simulator import checks as simulator_checks
from simulator import reading
from simulator.mailbox import Mail
from simulator.message import Call, Entry, Template
from tests.unit.test_cli_words import STATUS
from worker.render import Mailing

SIZES = (10_000, 40_000, 160_000, 640_000)
GROWTH = 4
MOST = GROWTH * 1.5**2
"""n·1.5 for each doubling: n² would be 16."""
CELL = 100_000
"""Characters; csv takes no more than 131,072 in one cell."""
UNMEASURED_SECONDS = 0.005

HOSTILE: dict[str, str] = {
    "blanks": " ",
    "tabs and breaks": "\t\n",
    "letters": "a",
    "dots": ".",
    "dotted": "a.",
    "quotes": '"',
    "escapes": '"\\',
    "at signs": "@",
    "addresses cut off": "a@a",
    "angles": "<",
    "angles after blanks": " <",
    "separators": "\u2028 \u2029",
    "commas": ",",
    "semicolons": "a;",
    "braces": "{{ ",
    "percent": "%40a",
    "surrogates": "\ud800",
    "other alphabets": "é",
}
ENDS = ('\u200b@a>"', "@")
"""What a pattern runs up to and fails at: with a character that is not ASCII, and without."""


def campaign(**parts: Any) -> Campaign:
    usual = {"subject": "Hello {{ name }}", "html": "{{ name }}", "text": "{{ name }}"}
    return Campaign(sender=SenderName("news"), **{"name": "Autumn", **usual, **parts})


PLAIN = Mailing(CampaignId("c1"), campaign(), Sender(account="main", from_="n@shop.example.com"))
RENDERED = Mailing(
    CampaignId("c1"),
    campaign(text="{% if name %}{{ name }}{% endif %}"),
    Sender(account="main", from_="n@shop.example.com"),
)


BLANKS = Fields(frozenset(), frozenset({"name"}))
NAMED = Fields(frozenset({"name"}), frozenset())


def split_in_bits(text: str) -> Iterator[bytes]:
    raw = text.encode("utf-8", "surrogatepass")
    return (raw[at : at + 512] for at in range(0, len(raw), 512))


def as_csv(text: str) -> None:
    cells = [text[at : at + CELL] for at in range(0, len(text), CELL)]
    rows_ = "".join(f'a{at}@example.com,"{cell}"\n' for at, cell in enumerate(cells))
    lines = Lines(split_in_bits(f"email,name\n{rows_}"))
    list(read_rows(lines, BLANKS))


def as_json_line(text: str) -> None:
    lines = Lines(split_in_bits(json.dumps({"email": text, "name": text}) + "\n"))
    list(read_rows(lines, BLANKS))


def as_header(text: str) -> None:
    delimiter = header.delimiter_of(text)
    header.header_of(header.cells_of(text, delimiter=delimiter), delimiter=delimiter)


def seen_in_the_simulator(text: str) -> None:
    template = Template(None, text, text, text, "{}", (), 0)
    call = Call("SendBulkEmail", "n@shop.example.com", (), None, (), template, ())
    entry = Entry(("ann@example.com",))
    reading.seen(Mail(call, entry, "id", 0.0, "", ()))


PASSES: dict[str, Callable[[str], object]] = {
    "a field in a subject": sandbox.shown_on_one_line,
    "a field in a URL": sandbox.shown_in_url,
    "a field of a plain campaign": lambda text: PLAIN.bulk_entry(0, of_name(text)),
    "a field of a rendered campaign": lambda text: RENDERED.bulk_entry(0, of_name(text)),
    "a mail of its own": lambda text: PLAIN.message(of_name(text)),
    "a line of the log": lambda text: redact_addresses(None, "", {"event": text, "x": [text]}),
    "a traceback in the log": lambda text: redact_addresses(None, "", {"exception": text}),
    "the fast test of an address": address.is_plain,
    "an address": address.sendable,
    "a name before the @": lambda text: address.sendable(f"{text}@example.com"),
    "a quoted name before the @": lambda text: address.sendable(f'"{text}"@example.com'),
    "a domain": lambda text: address.sendable(f"ann@{text}"),
    "two spellings": address.normal,
    "a header's value": lambda text: checked(headers={"X-A": text}),
    "a header's name": lambda text: checked(headers={text: "a"}),
    "a tag": lambda text: checked(tags={"a": text}),
    "a campaign's name and address": lambda text: checked(
        name=text, unsubscribe_url=f"https://{text}"
    ),
    "a header of a file": as_header,
    "the first bytes of a file": lambda text: recipients.check_start(
        text.encode("utf-8", "surrogatepass"), Fields(frozenset({"name"}), frozenset())
    ),
    "the name of a field": header.field_name,
    "a CSV file": as_csv,
    "a JSON Lines file": as_json_line,
    "a word that is not UTF-8": lambda text: encoding.odd_word(text.encode("utf-16", "replace")),
    "what a file is": lambda text: form.format_of(b"[" + text.encode("utf-8", "replace")),
    "a line with the separator": lambda text: header.start_of([f"sep={text}", text]),
    "a header that is nearly right": lambda text: header.check_header(
        header.header_of(["email", *text.split(",")], delimiter=","),
        Fields(frozenset({"name"}), frozenset()),
    ),
    "advice on a campaign": lambda text: list(
        advice_on(campaign(subject=text, text=text, html=text))
    ),
    "who lacks a field": lambda text: filled(of_name(text), BLANKS),
    "a name on a terminal": wording.printable,
    "a reason that is followed": lambda text: following.patience(
        replace(STATUS, reason=text), replace(STATUS, reason=f"{text}1")
    ),
    "an address at the simulator": simulator_checks.bare,
    "a named address at the simulator": lambda text: simulator_checks.bare(
        f"a{text} <a@b.example>"
    ),
    "a template at the simulator": seen_in_the_simulator,
}


def of_name(text: str) -> Recipient:
    return Recipient("ann@example.com", {"name": text})


def checked(**parts: Any) -> None:
    checks.check(campaign(**parts), senders={"news"})


def cost(run: Callable[[str], object], text: str) -> float:
    """CPU seconds of one pass."""
    began = time.thread_time()
    with suppress(PostroomError, ValueError, UnicodeError):
        run(text)
    return time.thread_time() - began


def assert_linear(run: Callable[[str], object], grown: Callable[[int], str]) -> None:
    """Ends at the first step that grew too much: the next would take minutes."""
    before = cost(run, grown(SIZES[0]))
    for size in SIZES[1:]:
        text, allowed = grown(size), MOST * max(before, UNMEASURED_SECONDS)
        now = cost(run, text)
        if now > allowed:  # Another process may have been in the way, of this or of the smaller.
            before = max(before, cost(run, grown(size // GROWTH)))
            now, allowed = min(now, cost(run, text)), MOST * max(before, UNMEASURED_SECONDS)
        assert now <= allowed, f"{size:,} characters: {now:.3f} s, a quarter: {before:.3f} s"
        before = now


@pytest.mark.parametrize("shape", HOSTILE)
@pytest.mark.parametrize("what", PASSES)
def test_a_pass_over_foreign_text_costs_no_more_than_its_length(what: str, shape: str) -> None:
    unit = HOSTILE[shape]
    for end in ENDS:
        assert_linear(PASSES[what], lambda size, end=end: unit * (size // len(unit)) + end)  # type: ignore[misc]


@pytest.mark.parametrize("shape", ["letters", "quotes", "blanks", "dots"])
def test_a_file_that_is_looked_at_costs_no_more_than_its_length(shape: str, tmp_path: Path) -> None:
    unit, made, people = HOSTILE[shape], tmp_path / "campaign.toml", tmp_path / "people.csv"

    def look(text: str) -> None:
        made.write_text(f"{json.dumps(text)} = 1")
        people.write_text(f"email,name\na@example.com,{text}\n")
        for read in (lambda: campaign_file.read(made), lambda: rows.nth(str(people), None)):
            with suppress(PostroomError):
                read()

    assert_linear(look, lambda size: unit * size)


def test_thousands_of_gzip_members_cost_no_more_than_their_length() -> None:
    member = gzip.compress(b"a@example.com\n")

    def read(members: str) -> None:
        for _ in unpacked(iter([member * len(members)])):
            pass

    assert_linear(read, lambda size: "x" * (size // len(member)))


class TestOneLine:
    """What the subject shows is what it was: runs of blanks with a break are one blank."""

    @pytest.mark.parametrize(
        ("given", "shown"),
        [
            ("a\nb", "a b"),
            ("a  \r\n  b", "a b"),
            ("\n a \n", " a "),
            ("a  b\u200bc", "a  b\u200bc"),
            ("a\0 \0b", "a b"),
            ("a\u2028\u2029b\x85c\x7fd", "a b c d"),
            ("a \u00a0 b\nc", "a \u00a0 b c"),
        ],
    )
    def test_breaks_and_controls_become_one_blank(self, given: str, shown: str) -> None:
        assert sandbox.shown_on_one_line(given) == shown
