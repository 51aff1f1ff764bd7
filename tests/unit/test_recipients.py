import gzip
import tracemalloc

import pytest

from postroom.content.fields import NONE, Fields
from postroom.errors import BadInputError
from postroom.intake.form import Format, format_of
from postroom.intake.header import delimiter_of, header_of
from postroom.model import Recipient
from postroom.submission.recipients import check_start, json_lines

NAME = Fields(
    frozenset({"first_name"}), frozenset({"first_name"}), {"first_name": "subject, line 1"}
)


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (b"email,name\n", Format.CSV),
        (b'{"email": "x"}\n', Format.JSON_LINES),
        (b' \n{"email": "x"}\n', Format.JSON_LINES),
        (b"", Format.CSV),
    ],
)
def test_the_format_shows_in_the_first_bytes(start: bytes, found: Format) -> None:
    assert format_of(start) is found


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04\x14\0[Content_Types].xml", "an Excel workbook; save it as CSV UTF-8"),
        (b"PK\x03\x04people.csv", "a zip file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook; save it as CSV UTF-8"),
        (b"\x89PNG\r\n", "a PNG image"),
        (b'[{"email": "a@x.example"}]', "a JSON array; write one object a line"),
        (b'[\n  {"email"', "a JSON array"),
    ],
)
def test_what_is_no_list_of_recipients_is_called_by_its_name(start: bytes, what: str) -> None:
    with pytest.raises(BadInputError, match=what):
        check_start(start, NAME)


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [
        ("email,a;b\n", ","),
        ("a;email\n", ";"),
        ("E-Mail\tb\n", "\t"),
        ("a|email\n", "|"),
        ("nothing;here", ";"),
    ],
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
        (["E-Mail-Adresse"], "`E-Mail-Adresse` holds the addresses, say --email-column 'E-Mail-Ad"),
        (["id", "Email Address"], "--email-column 'Email Address'"),
        (["mail"], "--email-column 'mail'"),
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


def test_the_column_of_the_addresses_may_be_named() -> None:
    check_start(b"E-Mail-Adresse;first name;email\n", NAME, email="E-Mail-Adresse")
    with pytest.raises(BadInputError, match="no column `Mail` in the header"):
        check_start(b"email,first name\n", NAME, email="Mail")


@pytest.mark.parametrize("start", ["sep=;\r\nemail;first name\r\n", "sep=|\nemail|first name\n"])
def test_excels_line_with_the_separator_is_no_header(start: str) -> None:
    check_start(start.encode(), NAME)
    check_start(start.encode("utf-16"), NAME)


def test_a_field_that_is_nearly_a_column_is_asked_for() -> None:
    with pytest.raises(
        BadInputError, match=r"^subject, line 1: no column first_name; did you mean firstname\?"
    ):
        check_start(b"email,firstname\n", NAME)


@pytest.mark.parametrize(
    ("start", "line"),
    [
        (b"email,city\n", "no column first_name, which the templates use"),
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
    assert [line.strip() for line in json_lines(given, NONE)] == [
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
        list(json_lines(["a@x.example", wrong], NONE))  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([{"mail": "a@x.example"}] * 3, "none of 3 can be mailed; recipient 1: no `email`"),
        (["nobody"], "none of 1 can be mailed; recipient 1: no @ in the address"),
        ([{"email": "a@x.example", "first name": " "}], "no 'first_name', which the templates use"),
    ],
)
def test_a_list_of_which_nobody_can_be_mailed_is_refused(given: list[object], why: str) -> None:
    with pytest.raises(BadInputError, match=why):
        list(json_lines(given, NAME))  # type: ignore[arg-type]
    good = {"email": "b@x.example", "first name": "Bo"}
    assert len(list(json_lines([*given, good], NAME))) == len(given) + 1  # type: ignore[list-item]


def test_a_list_of_nobody_is_a_list() -> None:
    assert list(json_lines([], NONE)) == []
