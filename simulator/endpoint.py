"""One request to the SES API: let in, struck by faults, delayed, acted on, answered, logged."""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

import orjson
from aiohttp import web

from simulator.answer import Answer, Ask
from simulator.call_log import Record
from simulator.errors import SesError, rate_exceeded
from simulator.faults import Fault
from simulator.mishaps import ConnectionCutError, after, before
from simulator.sending import recipients
from simulator.world import World

_NOTHING: Final = Answer({})
_CREDENTIAL: Final = re.compile(
    r"AWS4-(?:HMAC|ECDSA-P256)-SHA256 Credential=([^/,\s]+)/(?:\d+/([^/,\s]+))?"
)


Act = Callable[[World, Ask], Answer]


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    method: str
    path: str
    act: Act


@dataclass(slots=True)
class _Progress:
    """What is known of a request so far, for its line in the log."""

    fault: Fault | None = None
    answer: Answer = _NOTHING


def handler(
    operation: Operation, world_now: Callable[[], World]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of one operation."""

    async def handle(request: web.Request) -> web.StreamResponse:
        world = world_now()
        started = world.clock()
        progress = _Progress()
        status, error = 0, None
        try:
            payload = await _answered(operation, world, request, progress)
            status = 200
            return _response(200, payload)
        except SesError as refused:
            status, error = refused.http_status, refused.code
            payload = orjson.dumps({"message": refused.message})
            return _response(status, payload, refused.code)
        except ConnectionCutError:
            error = "connection cut"
            return _cut(request)
        finally:
            took = (world.clock() - started) * 1000
            fault = progress.fault.kind if progress.fault else None
            _, entries, accepted = progress.answer
            world.calls.add(
                Record(operation.name, started, status, error, entries, accepted, took, fault)
            )

    return handle


async def _answered(
    operation: Operation, world: World, request: web.Request, progress: _Progress
) -> bytes:
    """Half of the latency passes before the request takes effect, half after."""
    account = world.account_of(_credential(request, world))
    body = await request.read()
    now = world.clock()
    if not account.lets_request_pass(operation.name, now):
        raise rate_exceeded()
    fault = world.faults.of_call(operation.name, lambda: recipients(body), now)
    progress.fault = fault
    half = world.latency.seconds() / 2
    if half:
        await asyncio.sleep(half)
    if fault is not None and (early := await before(fault, world.settings)) is not None:
        return early
    ask = Ask(body, request.match_info, parse_qs(request.query_string), account)
    progress.answer = answer = operation.act(world, ask)
    if half:
        await asyncio.sleep(half)
    if fault is not None:
        return await after(fault, world.settings, answer.body)
    return orjson.dumps(answer.body)


def _credential(request: web.Request, world: World) -> tuple[str, str]:
    """Return access key id and Region; the signature is not verified: the secret is nobody's here.

    Raises `SesError` for a key that is not let in.
    """
    given = _CREDENTIAL.match(request.headers.get("Authorization", ""))
    if given is None:
        raise SesError(403, "MissingAuthenticationToken", "Missing Authentication Token")
    allowed = world.settings.access_keys
    if allowed and given[1] not in allowed:
        raise SesError(
            403,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        )
    return given[1], given[2] or ""


def _response(status: int, payload: bytes, error: str | None = None) -> web.Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    if error:
        headers["x-amzn-ErrorType"] = error
    return web.Response(
        status=status, body=payload, headers=headers, content_type="application/json"
    )


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # never leaves: the connection is gone
