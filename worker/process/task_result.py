"""How a task ended, in a few words for people: its result in Flower. Never an address."""

from collections.abc import Callable
from datetime import datetime

from postroom import clock
from postroom.redaction import without_addresses
from worker.sending.sender import Sent

_LONGEST = 200


def told(
    first: Sent,
    *,
    batches: int,
    recipients: int,
    utc_in: Callable[[float], datetime] = clock.utc_in,
) -> str:
    """Tell how the batch of a task ended, and what was sent of others in the same slice."""
    text = without_addresses(_first(first, utc_in), _LONGEST)
    if batches > 1:
        more = recipients - first.recipients
        text += f"; then sent {more:,} of {batches - 1} more batch{'es' * (batches > 2)}"
    return text


def _first(sent: Sent, utc_in: Callable[[float], datetime]) -> str:
    if not sent.ended:
        return f"sent {sent.recipients:,}"
    until = _until(sent.rest_seconds, utc_in) if sent.rest_seconds > 0 else ""
    so_far = f": {sent.recipients:,} of {sent.of:,}" if sent.ended == "slice over" else ""
    others = f"; sent {sent.recipients:,} of {sent.of:,}" if sent.recipients and not so_far else ""
    return f"{sent.ended}{until}{so_far}{others}"


def _until(seconds: float, utc_in: Callable[[float], datetime]) -> str:
    then, today = utc_in(seconds), utc_in(0).date()
    return (
        f" until {then:%H:%M} UTC" if then.date() == today else f" until {then:%Y-%m-%d %H:%M} UTC"
    )
