"""Bytes of any kind become rows; a bad row is told by its number and harms no other."""

import gzip
import json
import random
import tracemalloc
from collections.abc import Iterator

import pytest

from postroom.content.fields import NONE, Fields
from postroom.errors import BadInputError, UnreadableSourceError
from postroom.intake.lines import MAX_LINE, Lines
from postroom.intake.reading import read_rows
from postroom.intake.seen import Seen
from postroom.intake.sieve import Sieve
from postroom.intake.unpacking import unpacked
from producers.sources import read_pages

Row = tuple[int, str, dict[str, object]]


def in_pieces(source: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(source), size):
        yield source[start : start + size]


def read(
    source: bytes, *, size: int = 1 << 20, fields: Fields = NONE
) -> tuple[list[Row], list[tuple[int, str, str]], Lines]:
    """Return the good rows with their numbers, the bad ones, and the lines as they were left."""
    lines = Lines(unpacked(in_pieces(source, size)))
    good: list[Row] = []
    bad: list[tuple[int, str, str]] = []
    for rows in read_rows(lines, fields, quoting=True):
        for at, email in enumerate(rows.emails):
            fields = {n: column[at] for n, column in rows.fields.items() if column[at] is not None}
            good.append((rows.numbers[at], email, fields))
        bad += [(row.row, row.kind, row.reason) for row in rows.bad]
    return good, bad, lines


CSV = "email,name\na@x.example,Änn\nb@x.example,Bo\n"
BOTH = [(2, "a@x.example", {"name": "Änn"}), (3, "b@x.example", {"name": "Bo"})]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize(
    "source",
    [
        CSV.encode(),
        b"\xef\xbb\xbf" + CSV.encode(),
        CSV.replace("\n", "\r\n").encode(),
        CSV.replace("\n", "\r").encode(),
        CSV.rstrip().encode(),
        CSV.replace(",", ";").encode(),
        gzip.compress(CSV.encode(), mtime=0),
        gzip.compress(CSV[:20].encode(), mtime=0) + gzip.compress(CSV[20:].encode(), mtime=0),
        gzip.compress(CSV.encode(), mtime=0) + b"\0" * 100,
    ],
    ids=["plain", "bom", "crlf", "cr", "no end", "semicolons", "gzip", "two members", "padded"],
)
def test_a_table_is_read_whatever_wrote_it_and_wherever_it_is_cut(source: bytes, size: int) -> None:
    good, bad, lines = read(source, size=size)
    assert (good, bad, lines.odd) == (BOTH, [], None)


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
def test_lines_that_are_not_utf_8_are_windows_1252_and_said_with_row_and_word(size: int) -> None:
    source = 'email,name\na@x.example,"Ün\r\nund"\n'.encode()
    source += b"b@x.example,Mr O\x92Neill \x96 12 \x80\nc@x.example,\x84x\x93\n"
    good, bad, _ = read(source, size=size)
    assert [row[2]["name"] for row in good] == ["Ün\r\nund", "Mr O\u2019Neill \u2013 12 €", "„x“"]
    assert bad == [(3, "warning", "not UTF-8, read as Windows-1252: look at 'O\u2019Neill'")]


def test_of_a_source_that_somebody_named_the_row_is_told_and_no_word() -> None:
    lines = Lines(iter([b"email,name\na@x.example,J\xfcrg\n"]))
    (rows,) = read_rows(lines, NONE)
    assert [row.reason for row in rows.bad] == ["not UTF-8, read as Windows-1252: from here on"]


def test_bytes_that_windows_leaves_undefined_are_what_browsers_take_them_for() -> None:
    good, _, _ = read(b"email,name\na@x.example,\x80\x81\x8d\x8f\x90\x9d\xff\n")
    assert good[0][2] == {"name": "€\x81\x8d\x8f\x90\x9dÿ"}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_read_by_its_mark(encoding: str, size: int) -> None:
    source = ("\ufeff" + CSV.replace("Änn", "Ä🎉\u0a0dnn")).encode(encoding)
    good, bad, lines = read(source, size=size)
    assert (good[0][2], bad, lines.odd) == ({"name": "Ä🎉\u0a0dnn"}, [], None)
    packed, _, _ = read(gzip.compress(source, mtime=0), size=size)
    assert packed == good


@pytest.mark.parametrize(
    "source", ["sep=;\nemail;name\na@x.example;Änn\nb@x.example;Bo\n", CSV.replace(",", "|")]
)
def test_other_separators_are_read_and_excels_line_is_no_row(source: str) -> None:
    assert read(source.encode())[0] == BOTH


def test_the_row_of_a_word_is_right_behind_excels_line() -> None:
    _, bad, _ = read(b"sep=;\nemail;name\na@x.example;A\nb@x.example;J\xfcrg\n")
    assert [row for row, _, _ in bad] == [3]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_who_has_a_field_blank_lacks_it(form: str) -> None:
    people = [("a", "Ann"), ("b", ""), ("c", " \t\u00a0"), ("d", "Di")]
    if form == "csv":
        source = "email,name,note\n" + "".join(f"{one}@x.example,{name},\n" for one, name in people)
    else:
        given = [{"email": f"{one}@x.example", "name": name, "note": ""} for one, name in people]
        source = "".join(f"{json.dumps(one)}\n" for one in given)
    lacking = Fields(frozenset(), frozenset({"name"}))
    named = [row[2].get("name") for row in read(source.encode(), fields=lacking)[0]]
    assert named == ["Ann", None, None, "Di"]
    good, bad, _ = read(source.encode(), fields=Fields(frozenset({"name"}), frozenset({"name"})))
    assert [row[1] for row in good] == ["a@x.example", "d@x.example"]
    assert {reason.partition(",")[0] for _, _, reason in bad} == {"'name' is blank"}
    kept, bad, _ = read(source.encode(), fields=Fields(frozenset({"name"}), frozenset()))
    assert ([row[2]["name"] for row in kept], bad) == ([name for _, name in people], [])


def test_quoted_cells_may_hold_newlines_quotes_and_commas() -> None:
    source = b'email,note\na@x.example,"one\r\n""two"", three"\nb@x.example,plain\n'
    good, bad, _ = read(source, size=3)
    assert [row[2]["note"] for row in good] == ['one\r\n"two", three', "plain"]
    assert bad == []


def test_ragged_rows_are_invalid_and_empty_ones_are_nothing() -> None:
    source = b"email,name\n\na@x.example,Ann\nb@x.example\nc@x.example,C,more\n , \nd@x.example,D\n"
    good, bad, _ = read(source)
    assert [(row[0], row[1]) for row in good] == [(3, "a@x.example"), (7, "d@x.example")]
    assert bad == [
        (4, "invalid", "1 cells, where the header has 2"),
        (5, "invalid", "3 cells, where the header has 2"),
    ]


def test_a_nul_byte_makes_its_own_row_invalid() -> None:
    good, bad, _ = read(b"email,name\na@x.example,A\0n\nb@x.example,Bo\n")
    assert [row[1] for row in good] == ["b@x.example"]
    assert bad == [(2, "invalid", "a NUL byte")]


def test_a_quote_that_is_never_closed_costs_its_row_and_says_so() -> None:
    rest = "".join(f"x{n}@x.example,n\n" for n in range(20_000))
    good, bad, _ = read(f'email,name\na@x.example,Ann\nb@x.example,"Bo\n{rest}'.encode())
    assert good[0][1] == "a@x.example"
    assert bad[0][0] == 3
    assert "is a quote opened in row 3 and never closed?" in bad[0][2]


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_quote_that_is_open_at_the_end_is_told_by_its_row_and_what_it_cost(end: str) -> None:
    source = f'email,name,more\na@x.example,Ann,1\nb@x.example,"Bo,2\nc@x.example,C,3\nd,D,4{end}'
    good, bad, _ = read(source.encode())
    assert [row[1] for row in good] == ["a@x.example"]
    told = "a quote opened in row 3 is never closed; it swallows the 2 lines after it"
    assert bad == [(3, "invalid", told)]
    _, bad, _ = read(f'email,name\na@x.example,"Ann\nb,B{end}'.encode())
    assert bad[0][2].endswith("; it swallows the line after it")
    with pytest.raises(BadInputError, match="a quote opened in row 1 is never closed"):
        read(b'email,"name\na@x.example,Ann\n')


def test_an_unnamed_column_is_no_merge_field() -> None:
    good, _, _ = read(b"email,name,,\na@x.example,Ann,1,\n")
    assert good == [(2, "a@x.example", {"name": "Ann"})]


def test_json_lines_keep_types_and_null_is_a_field_that_is_lacking() -> None:
    source = b'{"email":"a@x.example","n":1,"tags":["x"]}\n\n{"email":"b@x.example","n":null}\n'
    good, bad, _ = read(source, size=5)
    assert good == [(1, "a@x.example", {"n": 1, "tags": ["x"]}), (3, "b@x.example", {})]
    assert bad == []


def test_bad_json_lines_are_told_apart() -> None:
    source = (
        b'{"email":"a@x.example","name":"Ann"}\nnonsense\n[1]\n{"name":"Bo"}\n{"email":7}\n'
        b'{"email":"c@x.example"}\n{"email":"d@x.example","name":"Di"}'
    )
    good, bad, _ = read(source, fields=Fields(frozenset({"name"}), frozenset()))
    assert [row[1] for row in good] == ["a@x.example", "d@x.example"]
    assert [(row, reason.split(":")[0]) for row, _, reason in bad] == [
        (2, "not JSON"),
        (3, "not a JSON object"),
        (4, "no address in `email`"),
        (5, "no address in `email`"),
        (6, "no 'name', which the templates use"),
    ]


def test_a_json_line_that_is_nested_too_deeply_costs_its_row_only() -> None:
    bomb = b'{"email":"b@x.example","n":' + b"[" * 50_000 + b"]" * 50_000 + b"}\n"
    good, bad, _ = read(b'{"email":"a@x.example"}\n' + bomb + b'{"email":"c@x.example"}\n')
    assert [row[1] for row in good] == ["a@x.example", "c@x.example"]
    assert [(row, reason) for row, _, reason in bad] == [(2, "nested too deeply")]


def test_two_spellings_of_one_json_field_are_the_same_field() -> None:
    source = (
        b'{"email":"a@x.example","first name":"Ann"}\n{"email":"b@x.example","first_name":"Bo"}'
    )
    good, bad, _ = read(source, fields=Fields(frozenset({"first_name"}), frozenset()))
    assert [row[2] for row in good] == [{"first_name": "Ann"}, {"first_name": "Bo"}]
    assert bad == []


def test_json_rows_that_each_bring_other_fields_are_refused_before_they_fill_the_memory() -> None:
    rows = (b'{"email":"u%d@x.example","order %d":1,"paid %d":2}\n' % (n, n, n) for n in range(900))
    with pytest.raises(BadInputError, match="more than 1,000 different fields"):
        read(b"".join(rows), size=1 << 20)


def test_json_in_another_encoding_is_read_with_a_warning() -> None:
    good, bad, _ = read('{"email":"a@x.example","name":"Jürg €"}\n'.encode("cp1252"))
    assert good[0][2] == {"name": "Jürg €"}
    assert bad == [(1, "warning", "not UTF-8, read as Windows-1252: look at 'Jürg'")]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"name\nAnn\n", "no column `email`"),
        ("name\n".encode("utf-16"), "no column `email`"),
        (b"email," + b"x" * 200_000 + b"\n", "the header cannot be read"),
        (b'email,"' + b"x\n" * 100_000, "the header cannot be read"),
    ],
)
def test_a_source_without_a_usable_header_is_bad_input(source: bytes, line: str) -> None:
    with pytest.raises(BadInputError, match=line):
        read(source)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (gzip.compress(CSV.encode(), mtime=0)[:-9], "ends too early"),
        (gzip.compress(CSV.encode() * 1000, mtime=0)[:60] + b"\xff" * 60, "is broken"),
        (b"email\n" + b"x" * (MAX_LINE + 1), "a line is longer than 16 MB"),
    ],
    ids=["truncated", "damaged", "endless line"],
)
def test_a_source_that_cannot_be_read_says_why(source: bytes, line: str) -> None:
    with pytest.raises(UnreadableSourceError, match=line):
        read(source)


def test_a_bomb_of_zeros_is_unpacked_in_bounded_pieces() -> None:
    bomb = gzip.compress(b"\n" * (64 << 20))
    tracemalloc.start()
    length = sum(map(len, unpacked(iter([bomb]))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length == 64 << 20
    assert peak < 16 << 20


def test_a_page_that_is_gone_is_no_end_of_the_source() -> None:
    class OnePage:
        def page(self, number: int) -> bytes | None:
            return b"email\n" if number == 0 else None

    assert list(read_pages(OnePage(), 1)) == [b"email\n"]
    with pytest.raises(UnreadableSourceError, match="page 1 of the recipients is gone"):
        list(read_pages(OnePage(), 2))


def test_the_sieve_drops_bad_and_repeated_addresses_and_keeps_the_spelling() -> None:
    source = (
        b"email\nAnn@X.example\nann@x.EXAMPLE\nno address\n c@x.example \n"
        + "d@bücher.example\nD@xn--bcher-kva.example\n".encode()
    )
    (rows,) = read_rows(Lines(in_pieces(source, 1 << 20)), NONE)
    recipients = Sieve().sift(rows)
    assert recipients.emails == ["Ann@X.example", "c@x.example", "d@xn--bcher-kva.example"]
    assert recipients.keys == ["ann@x.example", "c@x.example", "d@xn--bcher-kva.example"]
    assert [(row.row, row.kind) for row in recipients.bad] == [
        (3, "duplicate"),
        (4, "invalid"),
        (7, "duplicate"),
    ]


def test_seen_agrees_with_a_set_while_it_grows() -> None:
    rng = random.Random(7)
    seen, known = Seen(), set[str]()
    for _ in range(60):
        keys = [f"{rng.randrange(150_000)}@x.example" for _ in range(3_000)]
        expected = []
        for at, key in enumerate(keys):
            if key in known:
                expected.append(at)
            known.add(key)
        assert seen.repeats(keys) == expected


def test_beyond_a_million_slots_seen_grows_by_two_and_holds_nothing_else_meanwhile() -> None:
    seen = Seen()
    seen.repeats([f"{n}@x.example" for n in range(690_000)])
    more = [f"{n}@x.example" for n in range(690_000, 695_000)]
    tracemalloc.start()
    try:
        assert seen.repeats(more) == []
        assert tracemalloc.get_traced_memory()[1] < 1.2 * 8 * (2 << 20)
    finally:
        tracemalloc.stop()
