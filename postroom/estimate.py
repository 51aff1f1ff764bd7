"""How long a campaign takes, by what its account allows."""

from typing import Final

DAY: Final = 86_400.0


def time_needed(
    number: int, *, per_second: float, quota: float, sent: float, window_seconds: float = DAY
) -> float:
    """Return the seconds that so many recipients take under a rate and a rolling quota.

    `quota` is infinite where there is none; `sent` are those that the window holds already.
    """
    at_rate = number / per_second
    beyond = number - max(0.0, quota - sent)
    if beyond <= 0:
        return at_rate
    whole_windows = -(-beyond // quota) if quota else float("inf")
    return max(at_rate, whole_windows * window_seconds)
