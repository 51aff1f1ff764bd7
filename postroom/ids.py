"""Campaign ids: they may stand in an SES tag as they are; new ones sort by time."""

import secrets
from hashlib import blake2b
from typing import Final

from postroom.clock import Clock
from postroom.model import CampaignId

# Ascending, and without letters that are mistaken for one another.
_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS: Final = 9
_RANDOM_DIGITS: Final = 8


def new_campaign_id(clock: Clock) -> CampaignId:
    """Return `c`, the milliseconds, and 40 random bits."""
    milliseconds = _written(int(clock() * 1000), _TIME_DIGITS)
    return CampaignId(f"c{milliseconds}{_written(secrets.randbits(40), _RANDOM_DIGITS)}")


def same_campaign_id(mark: bytes) -> CampaignId:
    """Return the id that goes with this mark, the same each time."""
    number = int.from_bytes(blake2b(mark).digest())
    return CampaignId(f"c{_written(number, _TIME_DIGITS + _RANDOM_DIGITS)}")


def _written(number: int, digits: int) -> str:
    return "".join(_DIGITS[number >> 5 * at & 31] for at in reversed(range(digits)))
