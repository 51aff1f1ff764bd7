"""Ships the recipients of one submit to Redis: in pages, with flat memory."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from postroom import wire
from postroom.content import checks
from postroom.content.fields import Fields, fields_of
from postroom.errors import BadInputError, StoreUnavailableError
from postroom.model import Campaign, CampaignId, Recipient
from postroom.store.connection import Store
from postroom.store.drafts import Drafts
from postroom.submission.recipients import check_start, json_lines

_SCHEMES: Final = ("s3://", "file:///")
PAGE_BYTES: Final = 256 * 1024
FULL: Final = 0.9
"""Of Redis' memory: beyond it no campaign is taken in."""
_PAGES_BETWEEN_LOOKS: Final = 64


Recipients = Iterable[Recipient | Mapping[str, Any] | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The three ways to hand over recipients, of which one is used."""

    recipients: Recipients | None
    raw: BinaryIO | None
    source: str | None
    email_column: str | None = None

    def chunks(self, campaign: Campaign, *, senders: Collection[str]) -> Iterable[bytes]:
        """Check what can be checked, and return what is to be shipped: nothing of a source.

        Raises `BadInputError`; the header of a file is looked at with its first chunk.
        """
        checks.check(campaign, senders=senders)
        if sum(one is not None for one in (self.recipients, self.raw, self.source)) != 1:
            raise BadInputError("recipients: give exactly one of recipients, raw and source")
        if self.recipients is not None:
            _check_iterable(self.recipients)
            return json_lines(self.recipients, fields_of(campaign), email=self.email_column)
        if self.raw is not None:
            return _checked(chunks_of(self.raw), fields_of(campaign), self.email_column)
        if not str(self.source).startswith(_SCHEMES):
            raise BadInputError(f"recipients: {self.source!r} is neither s3:// nor file:///")
        return ()


class Shipper:
    """Raises `StoreUnavailableError` when Redis is away or nearly full."""

    def __init__(self, store: Store, drafts: Drafts) -> None:
        self._store: Final = store
        self._drafts: Final = drafts

    def ship(self, campaign_id: CampaignId, chunks: Iterable[bytes], *, key: str) -> int:
        """Store everything as pages; returns how many."""
        number = 0
        for page in pages(chunks):
            if number % _PAGES_BETWEEN_LOOKS == 0:
                self.check_room()
            self._drafts.add_page(campaign_id, number, wire.encode_page(page), key=key)
            number += 1
        return number

    def check_room(self) -> None:
        """Raise `StoreUnavailableError` when Redis has no room for a campaign."""
        share = self._store.memory_share()
        if share > FULL:
            raise StoreUnavailableError(
                f"Redis is {share:.0%} full: wait until campaigns have finished, or give it memory"
            )


def pages(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut or join chunks to pages of `PAGE_BYTES`, the last one shorter."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= PAGE_BYTES:
            yield bytes(held[:PAGE_BYTES])
            del held[:PAGE_BYTES]
    if held:
        yield bytes(held)


def chunks_of(raw: BinaryIO) -> Iterator[bytes]:
    """Read a file to its end. Raises `BadInputError` when it cannot be read."""
    try:
        while chunk := raw.read(PAGE_BYTES):
            if not isinstance(chunk, bytes):
                raise BadInputError("recipients: the file was opened as text; open it with 'rb'")
            yield chunk
    except OSError as error:
        raise BadInputError(f"recipients: {error.strerror or error}") from None


def _check_iterable(recipients: object) -> None:
    """Refuse what would be taken for a list of letters or keys, and what is no list."""
    kind = type(recipients).__name__
    if isinstance(recipients, str | bytes | bytearray | Mapping | Recipient):
        raise BadInputError(f"recipients: a {kind} is one, where many are due; give a list of it")
    if hasattr(recipients, "__aiter__"):
        raise BadInputError(f"recipients: a {kind} is asynchronous; give what `for` can go through")
    if not (hasattr(recipients, "__iter__") or hasattr(recipients, "__getitem__")):
        raise BadInputError(f"recipients: a {kind} is no iterable of recipients")


def _checked(chunks: Iterator[bytes], fields: Fields, email: str | None) -> Iterator[bytes]:
    first = next(chunks, b"")
    check_start(first, fields, email=email)
    yield first
    yield from chunks
