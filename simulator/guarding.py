"""Who may look in: a page of some website, open in a browser of this machine, may not.

The SES operations want a signature; the inspection API and the page want nothing, so a browser
must not be made to ask them for somebody else.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from simulator.inspection import Handler


def guarded(handle: Handler) -> Handler:
    """Refuse with 403 what a browser was led here for under a foreign name or by a foreign page."""

    async def guard(request: web.Request) -> web.StreamResponse:
        if not _is_local(_name(f"//{request.host}")):
            raise web.HTTPForbidden(text=f"not served under the name {request.host!r}\n")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text=f"not served to pages of {origin!r}\n")
        return await handle(request)

    return guard


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_local(name: str) -> bool:
    """Whether nobody can have registered the name: an address, or one word without a dot.

    A website reaches this machine from inside its own browser by a name of its own that it
    lets point here (DNS rebinding). `localhost` and `simulator` of a compose file are one word.
    """
    try:
        return bool(ip_address(name))
    except ValueError:
        return bool(name) and "." not in name.removesuffix(".localhost")
