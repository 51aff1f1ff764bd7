"""One client of Redis a process, and what it is checked for before anything starts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from postroom import redis_url
from postroom.errors import StoreRefusesError, StoreUnavailableError, UnsafeStoreError
from postroom.settings import Redis as RedisSettings
from postroom.store.keys import Keys

if TYPE_CHECKING:
    import redis

_LUA: Final = Path(__file__).parent / "lua"

# What Redis answers when it is there but will not do it now: a failover, a full memory, a
# restart that still reads its file. redis-py takes the word off where it knows the error.
_NOT_NOW_ERRORS: Final = frozenset(
    {"ReadOnlyError", "OutOfMemoryError", "ClusterDownError", "TryAgainError", "NoScriptError"}
)
_NOT_NOW: Final = (
    *("READONLY", "OOM", "LOADING", "MASTERDOWN", "NOREPLICAS", "MISCONF", "TRYAGAIN"),
    "BUSY Redis",
)


Step = tuple[str, Sequence[str], Sequence[Any]]
"""A script, its keys and its arguments."""


class Store:
    """The connection that every module of the store works through.

    Retries are off: a command that timed out may have run, and only its caller knows whether
    it may run twice. `script` runs survive a flushed script cache.
    """

    def __init__(self, settings: RedisSettings, *, client_name: str = "postroom") -> None:
        self.keys: Final = Keys(settings.prefix)
        self.client: Final = _client(settings, client_name)
        self._scripts: Final = cache(self._registered)
        self._loaded = set[str]()

    def run(self, script: str, keys: Sequence[str], args: Sequence[Any] = ()) -> Any:
        """Run lua/`script`.lua. Raises `StoreUnavailableError` when Redis cannot."""
        with self._asking():
            return self._scripts(script)(keys=keys, args=args)

    def run_all(self, steps: Sequence[Step], *, remove: tuple[str, str] | None = None) -> list[Any]:
        """Run scripts one after the other, and take a member off a sorted set, in one round trip.

        Returns what the scripts answer. Raises `StoreUnavailableError`; a part may have been
        done then.
        """
        with self._asking():
            pipeline = self.client.pipeline(transaction=False)
            new = {script for script, _, _ in steps} - self._loaded
            for script in new:
                pipeline.script_load(self._scripts(script).script)
            for script, keys, args in steps:
                pipeline.evalsha(self._scripts(script).sha, len(keys), *keys, *args)
            if remove:
                pipeline.zrem(*remove)
            answers = pipeline.execute(raise_on_error=False)[len(new) :]
            self._loaded |= new
            told = [self._answered(step, answer) for step, answer in zip_longest(steps, answers)]
            return told[: len(steps)]

    def _answered(self, step: Step | None, answer: Any) -> Any:
        """Return the answer of one step; run it now where Redis has forgotten the script since."""
        if step and type(answer).__name__ == "NoScriptError":
            script, keys, args = step
            return self._scripts(script)(keys=keys, args=args)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self, command: "Callable[[redis.Redis], Any]") -> Any:
        """Run plain commands. Raises `StoreUnavailableError` when Redis cannot."""
        with self._asking():
            return command(self.client)

    def seconds(self) -> float:
        """Unix seconds by Redis' own clock, the one that leases and budgets go by."""
        whole, micros = self.ask(lambda client: client.time())
        return float(whole) + float(micros) / 1e6

    def memory_share(self) -> float:
        """How full Redis is, from 0 to 1; 0 when it has no limit."""
        memory = self.ask(lambda client: client.info("memory"))
        limit = int(memory.get("maxmemory", 0))
        return int(memory["used_memory"]) / limit if limit else 0.0

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            with asking():
                yield
        except StoreUnavailableError:
            # After a failover the idle connections still lead to the old primary.
            self.client.connection_pool.disconnect(inuse_connections=False)
            raise

    def _registered(self, name: str) -> Any:
        return self.client.register_script(_source(name))

    def close(self) -> None:
        self.client.close()


def _source(name: str) -> str:
    """Return a script, with each function of lua/shared/ that it names before it."""
    script = (_LUA / f"{name}.lua").read_text(encoding="utf-8")
    shared = (one for one in sorted((_LUA / "shared").glob("*.lua")) if f"{one.stem}(" in script)
    return "".join([*(one.read_text(encoding="utf-8") for one in shared), script])


def _client(settings: RedisSettings, name: str) -> "redis.Redis":
    # A tenth of a second: paid by who connects, not by who imports.
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis.from_url(
        redis_url.checked(settings.url),
        socket_timeout=settings.timeout_seconds,
        socket_connect_timeout=settings.timeout_seconds,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=25,
        client_name=name,
    )


@contextmanager
def asking() -> Iterator[None]:
    """Turn what redis-py raises while Redis is away into `StoreUnavailableError`."""
    import redis

    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise StoreUnavailableError(f"Redis does not answer: {error}") from None
    except redis.ResponseError as error:
        if _NOT_NOW_ERRORS & {kind.__name__ for kind in type(error).__mro__} or any(
            word in str(error) for word in _NOT_NOW
        ):
            raise StoreRefusesError(f"Redis will not do it now: {error}") from None
        raise


def check_safety(store: Store, settings: RedisSettings) -> list[str]:
    """Refuse a Redis that may drop our records; return warnings about one that may forget them.

    Raises `UnsafeStoreError` for an eviction policy other than `noeviction`, unless the
    settings allow it (the local stack). Managed services may hide CONFIG: then INFO tells.
    """
    memory = store.ask(lambda client: client.info("memory"))
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and not settings.allow_eviction:
        raise UnsafeStoreError(
            f"Redis evicts keys when full (maxmemory-policy {policy}) and would lose recipients; "
            "set maxmemory-policy noeviction"
        )
    persistence = store.ask(lambda client: client.info("persistence"))
    if not int(persistence.get("aof_enabled", 0)):
        return ["Redis keeps no append-only file: a restart loses what was not saved"]
    return []
