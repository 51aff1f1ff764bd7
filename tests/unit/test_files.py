"""A producer reads the files and objects that its settings name, and no other."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event, Thread

import msgspec
import pytest

from postroom import settings
from postroom.errors import UnreadableSourceError
from producers.files import check_object
from producers.sources import read_url

SECRET = b"email\nsecret@x.example\n"


def read(url: str, *, folder: Path | None = None, buckets: Sequence[str] = ()) -> bytes:
    producer = settings.load({}).producer
    if folder is not None:
        producer = msgspec.structs.replace(producer, source_folder=str(folder))
    producer = msgspec.structs.replace(producer, source_buckets=list(buckets))
    return b"".join(read_url(url, lambda _: None, producer))


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    (folder / "spring").mkdir(parents=True)
    (folder / "spring" / "with space.csv").write_bytes(b"email\n")
    (tmp_path / "secret.csv").write_bytes(SECRET)
    return folder


def test_a_file_in_the_folder_is_read_by_its_address(shared: Path) -> None:
    path = shared / "spring" / "with space.csv"
    assert read(path.as_uri(), folder=shared) == b"email\n"
    assert read(path.as_uri(), folder=Path("/")) == b"email\n"
    with pytest.raises(UnreadableSourceError, match="No such file"):
        read((shared / "gone.csv").as_uri(), folder=shared)


def test_links_that_lead_about_within_the_folder_are_followed(shared: Path) -> None:
    (shared / "now").symlink_to("spring")
    (shared.parent / "alias").symlink_to(shared)
    path = shared.parent / "alias" / "now" / "with space.csv"
    assert read(path.as_uri(), folder=shared.parent / "alias") == b"email\n"


def test_by_default_no_file_and_no_object_is_read(shared: Path) -> None:
    path = shared / "spring" / "with space.csv"
    for url in (path.as_uri(), "file:///proc/self/environ"):
        with pytest.raises(UnreadableSourceError, match=r"no file may be read \(producer\.source_"):
            read(url)
    with pytest.raises(UnreadableSourceError, match=r"not in producer\.source_buckets"):
        read("s3://lists/spring.csv")


def test_no_file_outside_the_folder_is_read_whatever_path_or_link_leads_to_it(
    shared: Path,
) -> None:
    secret = shared.parent / "secret.csv"
    (shared / "link.csv").symlink_to(secret)
    (shared / "up").symlink_to("..")
    (shared / "circle").symlink_to("circle")
    beside = shared.parent / "shared2"
    beside.mkdir()
    (beside / "a.csv").write_bytes(SECRET)
    for url in (
        *(secret.as_uri(), f"file://{shared}/../secret.csv", f"file://{shared}/link.csv"),
        *(f"file://{shared}/up/secret.csv", f"file://{shared}/%2e%2e/secret.csv"),
        *((beside / "a.csv").as_uri(), f"file://{shared}/a%00.csv", "file:///gone/a.csv"),
    ):
        with pytest.raises(UnreadableSourceError, match=r"not in .*source_folder"):
            read(url, folder=shared)
    for url in (f"file://{shared}/circle", f"file://elsewhere{shared}/link.csv"):
        with pytest.raises(UnreadableSourceError):
            read(url, folder=shared)


@pytest.mark.parametrize("of", ["file", "folder"])
def test_a_link_that_is_flipped_meanwhile_leads_nowhere_else(shared: Path, of: str) -> None:
    (shared / "with space.csv").write_bytes(SECRET)
    good, bad = shared / "spring", shared.parent / "out"
    bad.mkdir()
    (bad / "with space.csv").write_bytes(SECRET)
    link, made = shared / "flip", shared / "next"
    target = "with space.csv" if of == "file" else ""
    url = f"file://{link}" if of == "file" else f"file://{link}/with space.csv"
    done = Event()

    def flip() -> None:
        while not done.is_set():
            for folder in (good, bad):
                made.symlink_to(folder / target)
                made.replace(link)

    flipping = Thread(target=flip)
    flipping.start()
    try:
        assert SECRET not in set(tries(url, shared))
    finally:
        done.set()
        flipping.join()


def tries(url: str, folder: Path) -> Iterator[bytes]:
    for _ in range(1_500):
        try:
            yield read(url, folder=folder)
        except UnreadableSourceError:
            yield b""


def test_what_is_no_file_is_not_waited_for(shared: Path) -> None:
    os.mkfifo(shared / "pipe.csv")
    for name in ("pipe.csv", "spring", ""):
        with pytest.raises(UnreadableSourceError, match="not a file"):
            read(f"file://{shared}/{name}", folder=shared)


def test_any_other_address_is_refused() -> None:
    with pytest.raises(UnreadableSourceError, match="neither s3:// nor file:///"):
        read("ftp://x/y")


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        ("lists", "spring.csv"),
        ("lists", "any/../odd//key"),
        ("shop", "spring/a.csv"),
        ("shop", "spring/deep/a.csv"),
        ("shop", "autumn/2027/a.csv"),
    ],
)
def test_objects_in_the_buckets_and_below_the_prefixes_may_be_read(bucket: str, key: str) -> None:
    check_object(["lists", "shop/spring/", "shop/autumn/2027"], bucket, key)


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        ("lists2", "spring.csv"),
        ("list", "s/spring.csv"),
        ("arn:aws:s3:eu-west-1:1:accesspoint/lists", "a.csv"),
        ("", "lists/a.csv"),
        ("shop", "spring"),
        ("shop", "springtime/a.csv"),
        ("shop", "spring.csv"),
        ("shop", "autumn/a.csv"),
        ("shop", "autumn/2027.csv"),
        ("shop", "spring/../secret.csv"),
        ("shop", "other/spring/a.csv"),
    ],
)
def test_no_other_object_may_be_read(bucket: str, key: str) -> None:
    with pytest.raises(UnreadableSourceError, match=r"not in producer\.source_buckets"):
        check_object(["lists", "shop/spring/", "shop/autumn/2027"], bucket, key)
