"""How long an answer takes: log-normal, so mostly near the mean, with a tail, never negative."""

import math
import random

from simulator.settings import Settings


class Latency:
    """Draws one answer time a call, in seconds."""

    def __init__(self, settings: Settings, draw: random.Random) -> None:
        self._draw = draw
        self._mean_seconds = 0.0
        self._sigma = 0.0
        self.change(settings)

    def change(self, settings: Settings) -> None:
        self._mean_seconds = settings.latency_ms / 1000
        spread = settings.latency_jitter_ms / settings.latency_ms if settings.latency_ms else 0.0
        self._sigma = math.sqrt(math.log1p(spread * spread))

    def seconds(self) -> float:
        if self._mean_seconds == 0.0 or self._sigma == 0.0:
            return self._mean_seconds
        mu = math.log(self._mean_seconds) - self._sigma**2 / 2
        return self._draw.lognormvariate(mu, self._sigma)
