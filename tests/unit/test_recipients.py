import gzip
import tracemalloc

import pytest

from postroom.errors import BadInputError
from postroom.model import Recipient
from postroom.recipients import (
    Format,
    check_start,
    delimiter_of,
    format_of,
    header_of,
    json_lines,
)

NAME = frozenset({"first_name"})


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (b"email,name\n", Format.CSV),
        (b'{"email": "x"}\n', Format.JSON_LINES),
        (b'\xef\xbb\xbf \n{"email": "x"}\n', Format.JSON_LINES),
        (b"", Format.CSV),
    ],
)
def test_the_format_shows_in_the_first_bytes(start: bytes, found: Format) -> None:
    assert format_of(start) is found


def test_utf_16_is_refused_by_name() -> None:
    with pytest.raises(BadInputError, match="UTF-16; save it as UTF-8"):
        format_of("email\n".encode("utf-16"))


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [("email,a;b\n", ","), ("a;email\n", ";"), ("E-Mail\tb\n", "\t"), ("nothing;here", ",")],
)
def test_the_delimiter_is_the_one_that_shows_an_email_column(line: str, delimiter: str) -> None:
    assert delimiter_of(line) == delimiter


def test_column_names_become_names_that_templates_can_use() -> None:
    header = header_of([" Email ", "First Name", "  plan-2 ", ""], delimiter=",")
    assert (header.email, header.width) == (0, 4)
    assert header.fields == (("First_Name", 1), ("plan_2", 2))


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        (["name"], "no column `email` in the header (found: name)"),
        (["ann@example.com"], "the first line looks like a row"),
        (["email", "a b", "a-b"], "column 3 of the header has the name of column 2: 'a_b'"),
        (["email", "E-mail"], "column 2 of the header has the name of column 1: 'email'"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused(cells: list[str], line: str) -> None:
    with pytest.raises(BadInputError) as refused:
        header_of(cells, delimiter=",")
    assert line in str(refused.value)
    assert "ann@" not in str(refused.value)


@pytest.mark.parametrize(
    "start",
    [
        b"email,first name\nann@example.com,Ann\n",
        b"\n\n\xef\xbb\xbfemail,first name\n".replace(b"\n\n", b""),
        gzip.compress(b"email;first name\n", mtime=0),
        b'{"no": "header"}\n',
    ],
)
def test_a_file_that_has_what_the_templates_need_is_let_in(start: bytes) -> None:
    check_start(start, NAME)


@pytest.mark.parametrize(
    ("start", "line"),
    [
        (b"email,name\n", "no column first_name, which the templates use"),
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"\x1f\x8bnonsense", "the gzip file is broken"),
        (b"email," + b"x" * 200_000 + b"\n", "the header cannot be read: field larger"),
    ],
)
def test_a_file_that_lacks_it_is_refused_at_submit(start: bytes, line: str) -> None:
    with pytest.raises(BadInputError, match=line):
        check_start(start, NAME)


def test_of_a_bomb_of_zeros_no_more_is_unpacked_than_is_looked_at() -> None:
    bomb = gzip.compress(b"email,first_name\n" + b"\0" * (64 << 20))
    tracemalloc.start()
    try:
        check_start(bomb, NAME)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_service_may_hand_over_addresses_mappings_and_recipients() -> None:
    given = ["a@x.example", {"email": "b@x.example", "n": 1}, Recipient("c@x.example", {"n": 2})]
    assert [line.strip() for line in json_lines(given)] == [
        b'{"email":"a@x.example"}',
        b'{"email":"b@x.example","n":1}',
        b'{"n":2,"email":"c@x.example"}',
    ]


def nested(depth: int) -> list[object]:
    made: list[object] = []
    for _ in range(depth):
        made = [made]
    return made


@pytest.mark.parametrize(
    "wrong",
    [
        *(7, None, ("a@x.example",), {"email": "b", "n": object()}),
        *({"email": "b", "n": "\ud800"}, {"email": "b", "n": nested(100_000)}),
    ],
)
def test_anything_else_is_refused_with_its_place(wrong: object) -> None:
    with pytest.raises(BadInputError, match="recipient 2: "):
        list(json_lines(["a@x.example", wrong]))  # type: ignore[list-item]
