"""Redis' own clock, in the hands of a test: what is about time needs no time, and no luck."""

from math import ceil
from typing import Any, Final

from postroom.settings import Redis as RedisSettings
from postroom.store.connection import Store

_KEY: Final = "tests:clock"
# On one line, so that what Lua says about a line of the script stays true.
_ASKS_US: Final = (
    "local redis = setmetatable({call = function(name, ...) "
    f"local told = name == 'TIME' and redis.call('GET', '{_KEY}') "
    "if told then return {string.match(told, '(%d+) (%d+)')} end "
    "return redis.call(name, ...) end}, {__index = redis}) "
)


class ClockedStore(Store):
    """A store whose scripts see Redis' clock, which runs until a test stops it.

    Only `TIME` is ours: keys that Redis itself lets expire go by the real clock.
    """

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(settings)
        self._micros: int | None = None

    def stop_the_clock(self) -> None:
        """From here on time passes by `pass_time` alone."""
        self._set(round(self.seconds() * 1e6))

    def pass_time(self, seconds: float) -> None:
        assert self._micros is not None, "the clock runs by itself"
        self._set(self._micros + ceil(seconds * 1e6))

    def seconds(self) -> float:
        return super().seconds() if self._micros is None else self._micros / 1e6

    def _set(self, micros: int) -> None:
        self._micros = micros
        self.client.set(_KEY, "{} {}".format(*divmod(micros, 1_000_000)))

    def _registered(self, name: str) -> Any:
        script: Any = super()._registered(name)
        return self.client.register_script(_ASKS_US + script.script)
