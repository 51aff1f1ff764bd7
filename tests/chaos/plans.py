"""What a run sends, and what is done to it."""

from dataclasses import dataclass

from postroom.model import OnAmbiguous
from tests.chaos.rig import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One campaign and what is done to it."""

    name: str
    recipients: int
    faults: int
    bag: dict[str, int]
    shape: Shape
    on_ambiguous: OnAmbiguous = OnAmbiguous.SKIP
    producers_killed: int = 0
    """In the middle of their split, before anything else goes wrong."""
    batch_size: int = 200
    longest_pause_seconds: float = 6.0
    """Between two faults, when the campaign is slower than they are."""
    calm_seconds: float = 180.0
    """After the last fault the campaign must be finished within so long."""
    messages_per_second: float = 0.0
    """0: a campaign. Else so many messages a second are handed in, one to each recipient."""
