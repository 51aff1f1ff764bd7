"""Reading a campaign file: every fault says the file, the key and what is wrong."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from postroom import campaign_file
from postroom.errors import BadInputError
from postroom.model import Lane, OnAmbiguous, OnFinish

WHOLE = """
name = "Autumn"
sender = "news"
subject = "Hello {{ name }}"
html_file = "mail.html"
text = "Hello {{ name }}"
unsubscribe_url = "https://shop.example.com/u/{{ token }}"
send_at = 2026-12-01T08:00:00+01:00
not_after = 2026-12-02T08:00:00Z
on_ambiguous = "resend"
batch_size = 100
lane = "transactional"
weight = 2.5
on_finish = { task = "shop.mail_done", queue = "shop" }
keep_blank = ["token"]
[headers]
X-Shop = "autumn"
[tags]
season = "autumn"
[defaults]
name = "you"
points = 3
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "campaign.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_key_arrives(tmp_path: Path) -> None:
    (tmp_path / "mail.html").write_text("<p>Hello {{ name }}</p>", encoding="utf-8")
    read = campaign_file.read(written(tmp_path, WHOLE))
    assert (read.name, read.sender, read.html) == ("Autumn", "news", "<p>Hello {{ name }}</p>")
    assert read.send_at == datetime(2026, 12, 1, 7, tzinfo=UTC)
    assert (read.on_ambiguous, read.lane) == (OnAmbiguous.RESEND, Lane.TRANSACTIONAL)
    assert (read.batch_size, read.weight) == (100, 2.5)
    assert read.on_finish == OnFinish(task="shop.mail_done", queue="shop")
    assert (read.headers, read.tags) == ({"X-Shop": "autumn"}, {"season": "autumn"})
    assert read.defaults == {"name": "you", "points": 3}
    assert list(read.keep_blank) == ["token"]


def test_what_is_left_out_has_the_defaults_of_the_model(tmp_path: Path) -> None:
    read = campaign_file.read(
        written(tmp_path, 'name = "A"\nsender = "news"\nsubject = "S"\ntext = "T"\n')
    )
    assert (read.lane, read.batch_size, read.html) == (Lane.BULK, 500, None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('name = "A"', "sender: it is missing"),
        ('subjekt = "A"', "subjekt: no such key; did you mean subject?"),
        ('zzz = "A"', "zzz: no such key"),
        ("name = 3\nsender = 's'\nsubject = 's'", "name: expected `str`, got `int`"),
        ('name = "A"\nsubject = \n', "Invalid value (at line 2, column 11)"),
        ("sender = news", 'strings want quotes, like sender = "news"'),
        ("sender news", "a line is a key and its value"),
        ('text = "a\nb"', 'a text of several lines stands in """ … """'),
        ('subject = "say "hi""', "quotes within quotes: put the outer ones as"),
        ('name = "a"\nname = "b"', "a key is given twice"),
        ("send_at = 2026-12-01T08:00:00", "send_at: 2026-12-01 08:00:00 has no offset from UTC"),
        ("send_at = 2026-12-01", "send_at: 2026-12-01 has no offset from UTC"),
        ('not_after = "2026-12-01T08:00:00Z"', "not_after: write a date and time without quotes"),
        (
            "lane = 'fast'\nname='n'\nsender='s'\nsubject='s'",
            "lane: 'fast' is none of transactional, bulk",
        ),
        (
            "html = 'a'\nhtml_file = 'b'\nname='n'\nsender='s'\nsubject='s'",
            "html and html_file: give one of the two",
        ),
        (
            "html_file = 'nowhere.html'\nname='n'\nsender='s'\nsubject='s'",
            "nowhere.html: No such file or directory",
        ),
    ],
)
def test_a_fault_says_the_file_the_key_and_what(tmp_path: Path, text: str, fault: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadInputError) as raised:
        campaign_file.read(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert fault in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"none\.toml: No such file"):
        campaign_file.read(tmp_path / "none.toml")


def test_a_template_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "mail.html").write_bytes(b"caf\xe9")
    with pytest.raises(BadInputError, match=r"html_file: .*mail\.html: not UTF-8 \(byte 3\)"):
        campaign_file.read(written(tmp_path, WHOLE))
