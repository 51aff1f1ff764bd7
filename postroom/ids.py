"""Ids of campaigns and messages: they may stand in an SES tag as they are.

A campaign's sort by time. A message is named by its place: stream-segment-position; while
nobody could say that place, by stream.token, which leads there.
"""

import re
import secrets
from hashlib import blake2b
from typing import Final, NamedTuple, NewType

from postroom.clock import Clock
from postroom.model import AccountName, CampaignId, SenderName

StreamId = NewType("StreamId", str)

# Ascending, and without letters that are mistaken for one another.
_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS: Final = 9
_RANDOM_DIGITS: Final = 8
_STREAM_DIGITS: Final = 12
TOKEN_BYTES: Final = 12
_PLACE: Final = re.compile(rf"(s[{_DIGITS}]{{{_STREAM_DIGITS}}}-[0-9]{{1,15}})-([0-9]{{1,9}})")
_TOKEN: Final = re.compile(rf"(s[{_DIGITS}]{{{_STREAM_DIGITS}}})\.([0-9a-f]{{24}})")


class Place(NamedTuple):
    """Where a message stands: a segment, which is a mailing, and its position in it."""

    segment: CampaignId
    position: int

    @property
    def message(self) -> CampaignId:
        return CampaignId(f"{self.segment}-{self.position}")


class TokenPlace(NamedTuple):
    """A message named by its token, for want of its place."""

    stream: StreamId
    token: bytes

    @property
    def message(self) -> CampaignId:
        return CampaignId(f"{self.stream}.{self.token.hex()}")


def new_campaign_id(clock: Clock) -> CampaignId:
    """Return `c`, the milliseconds, and 40 random bits."""
    milliseconds = _written(int(clock() * 1000), _TIME_DIGITS)
    return CampaignId(f"c{milliseconds}{_written(secrets.randbits(40), _RANDOM_DIGITS)}")


def same_campaign_id(mark: bytes) -> CampaignId:
    """Return the id that goes with this mark, the same each time."""
    number = int.from_bytes(blake2b(mark).digest())
    return CampaignId(f"c{_written(number, _TIME_DIGITS + _RANDOM_DIGITS)}")


def stream_id(account: AccountName, sender: SenderName) -> StreamId:
    """Return the stream that takes the messages of a sender on an account."""
    mark = blake2b(f"{account}|{sender}".encode()).digest()
    return StreamId(f"s{_written(int.from_bytes(mark), _STREAM_DIGITS)}")


def segment_id(stream: StreamId, number: str) -> CampaignId:
    return CampaignId(f"{stream}-{number}")


def token_of(key: str) -> bytes:
    """Return the token of an idempotency key of a message: 12 bytes."""
    return blake2b(key.encode(errors="surrogatepass"), digest_size=TOKEN_BYTES).digest()


def is_segment(mailing: CampaignId) -> bool:
    """Whether a mailing is a segment of messages, and no campaign."""
    return mailing.startswith("s") and "-" in mailing


def place_of(message: CampaignId) -> Place | TokenPlace | None:
    """Read the id of a message; None for any other id."""
    if found := _PLACE.fullmatch(message):
        return Place(CampaignId(found[1]), int(found[2]))
    if found := _TOKEN.fullmatch(message):
        return TokenPlace(StreamId(found[1]), bytes.fromhex(found[2]))
    return None


def _written(number: int, digits: int) -> str:
    return "".join(_DIGITS[number >> 5 * at & 31] for at in reversed(range(digits)))
