"""The address of Redis, read once for two clients: redis-py for the store, kombu for the broker.

kombu alone takes `rediss://` for encryption without verification, and would hand the password
to whoever answers. redis-py's words in the address (`?ssl_cert_reqs=none`, `?ssl_ca_certs=…`)
reach both; unless they say otherwise, certificate and host name are verified by both.
Imports redis, when it is first used, and `errors` only.
"""

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, urlsplit, urlunsplit

from postroom.errors import BadInputError

_WHERE: Final = "settings: redis.url (POSTROOM_REDIS_URL)"
_VERIFIED: Final[Mapping[str, Any]] = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}


def checked(url: str) -> str:
    """Return an address that both clients can use.

    Raises `BadInputError`; its text holds no piece of the address that may be of a password.
    """
    from redis import RedisError
    from redis.connection import Connection

    try:
        parts, options = urlsplit(url), _options(url)
    except ValueError:
        raise _unreadable() from None
    if parts.scheme not in {"redis", "rediss"}:
        raise _unreadable()  # A socket of this host: only one of the two clients takes it.
    if "@" in f"{parts.path}?{parts.query}#{parts.fragment}" and "@" not in parts.netloc:
        raise _unreadable()  # Cut in the middle of a password.
    kind: type[Any] = options.pop("connection_class", Connection)
    _refuse_unknown(parts, kind)
    try:
        kind(**options)  # Opens nothing.
    except (TypeError, ValueError, RedisError):
        names = ", ".join(sorted(parse_qs(parts.query)))
        raise BadInputError(
            f"{_WHERE}: a value is of no use in one of its options: {names}"
        ) from None
    return url


def broker(url: str) -> dict[str, Any]:
    """Return Celery's settings of the broker at this address. Raises `BadInputError`."""
    parts, options = urlsplit(checked(url)), _options(url)
    path = f"/{options['db']}" if "db" in options else parts.path
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    return {
        # Without its options: kombu would read them in its own way.
        "broker_url": urlunsplit(parts._replace(path=path, query="", fragment="")),
        "broker_use_ssl": {**_VERIFIED, **tls} if parts.scheme == "rediss" else False,
    }


def without_password(url: str) -> str:
    """Return an address that may be shown."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2].partition('?')[0]}"


def _options(url: str) -> dict[str, Any]:
    from redis.connection import parse_url

    read: Callable[[str], dict[str, Any]] = parse_url
    return read(url)


def _refuse_unknown(parts: SplitResult, kind: type[Any]) -> None:
    known = {name for one in kind.__mro__ for name in inspect.signature(one).parameters}
    for name in parse_qs(parts.query):
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadInputError(f"{_WHERE}: {parts.scheme}:// has no option {name[:60]!r}{hint}")


def _unreadable() -> BadInputError:
    return BadInputError(
        f"{_WHERE}: not redis:// or rediss:// with a host and a port; in a password "
        "write / as %2F, ? as %3F, # as %23 and @ as %40"
    )
