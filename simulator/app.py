"""The aiohttp application: SES operations, the inspection API, the page."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import orjson
from aiohttp import web

from simulator.endpoint import handler
from simulator.guarding import guarded
from simulator.inspection import Inspection, Stage
from simulator.operations import OPERATIONS
from simulator.world import World

# A message of 40 MB arrives as base64 inside JSON.
_MAX_BODY_BYTES: Final = 128 * 1024 * 1024
# A mail shown in the page inherits this: its pictures are not fetched, its scripts do not run.
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:"
}
_PAGE: Final = Path(__file__).with_name("page.html")


def build(stage: Stage) -> web.Application:
    app = web.Application(client_max_size=_MAX_BODY_BYTES)

    def world_now() -> World:
        return stage.world

    for operation in OPERATIONS:
        app.router.add_route(operation.method, operation.path, handler(operation, world_now))
    for method, path, handle in Inspection(stage).routes:
        app.router.add_route(method, path, guarded(handle))
    app.router.add_route("GET", "/", guarded(_page()))
    app.router.add_route("*", "/v2/email/{rest:.*}", _unknown)
    return app


def _page() -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def page(_: web.Request) -> web.Response:
        content = _PAGE.read_text(encoding="utf-8")
        return web.Response(text=content, content_type="text/html", headers=_PAGE_HEADERS)

    return page


async def _unknown(request: web.Request) -> web.Response:
    """An operation that the real SES may have and the simulator has not: say so, loudly."""
    message = f"The simulator does not know {request.method} {request.path}"
    return web.Response(
        status=404,
        body=orjson.dumps({"message": message}),
        headers={"x-amzn-ErrorType": "UnknownOperationException"},
        content_type="application/json",
    )
