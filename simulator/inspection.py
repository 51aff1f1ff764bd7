"""`/_simulator/…`: what tests and people ask the simulator itself, without credentials."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

import orjson
from aiohttp import web

from simulator.faults import Fault, FaultError, read_fault
from simulator.identities import described as described_identity
from simulator.reading import described
from simulator.settings import SettingError, Settings
from simulator.world import Clock, World, new_world

_SERIES_SHOWN: Final = 300


class Stage:
    """The current world, and how to begin again."""

    def __init__(self, settings: Settings, faults: Sequence[Fault], clock: Clock) -> None:
        self._begin = (settings, tuple(faults), clock)
        self.world = new_world(*self._begin)

    def reset(self) -> None:
        """Everything as it was when the process started: settings, faults, an empty mailbox."""
        self.world = new_world(*self._begin)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Inspection:
    """The handlers over one stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @property
    def routes(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/_simulator/health", self.health),
            ("GET", "/_simulator/stats", self.stats),
            ("GET", "/_simulator/mails", self.mails),
            ("GET", "/_simulator/accepted", self.accepted),
            ("GET", "/_simulator/requests", self.requests),
            ("GET", "/_simulator/settings", self.settings),
            ("POST", "/_simulator/settings", self.change_settings),
            ("GET", "/_simulator/faults", self.faults),
            ("POST", "/_simulator/faults", self.arm_faults),
            ("DELETE", "/_simulator/faults", self.clear_faults),
            ("POST", "/_simulator/identities", self.script_identity),
            ("POST", "/_simulator/reset", self.reset),
        ]

    async def health(self, _: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def stats(self, request: web.Request) -> web.Response:
        last = _number(request, "seconds", _SERIES_SHOWN)
        return _json(stats(self._stage.world, series=last))

    async def mails(self, request: web.Request) -> web.Response:
        query = request.query
        found = self._stage.world.mailbox.newest(
            _number(request, "limit", 50),
            address=query.get("address", ""),
            campaign=query.get("campaign", ""),
        )
        return _json({"mails": [described(mail) for mail in found]})

    async def accepted(self, request: web.Request) -> web.StreamResponse:
        """JSON Lines, so that a million addresses can be compared with a ledger."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for chunk in self._stage.world.mailbox.counts(request.query.get("campaign")):
            lines = (
                orjson.dumps({"campaign": campaign, "address": address, "count": count})
                for campaign, address, count in chunk
            )
            await response.write(b"\n".join(lines) + b"\n")
            await asyncio.sleep(0)  # Sends go on while a long list is written.
        await response.write_eof()
        return response

    async def requests(self, request: web.Request) -> web.Response:
        log = self._stage.world.calls.last
        limit = _number(request, "limit", 100)
        newest = [one._asdict() for one in list(log)[::-1][:limit]]
        return _json({"requests": newest})

    async def settings(self, _: web.Request) -> web.Response:
        return _json(asdict(self._stage.world.settings))

    async def change_settings(self, request: web.Request) -> web.Response:
        try:
            self._stage.world.set_values(**_object(await _given(request)))
        except SettingError as bad:
            raise _refused(bad) from None
        return await self.settings(request)

    async def faults(self, _: web.Request) -> web.Response:
        return _json({"faults": self._stage.world.faults.described()})

    async def arm_faults(self, request: web.Request) -> web.Response:
        given = await _given(request)
        world = self._stage.world
        try:
            faults = [
                read_fault(_object(o)) for o in (given if isinstance(given, list) else [given])
            ]
        except FaultError as bad:
            raise _refused(bad) from None
        for fault in faults:
            world.faults.arm(fault, world.clock())
        return await self.faults(request)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._stage.world.faults.clear()
        return await self.faults(request)

    async def script_identity(self, request: web.Request) -> web.Response:
        changes = dict(_object(await _given(request)))
        try:
            made = self._stage.world.identities.update(str(changes.pop("name", "")), changes)
        except ValueError as bad:
            raise _refused(bad) from None
        return _json(described_identity(made))

    async def reset(self, _: web.Request) -> web.Response:
        self._stage.reset()
        return _json({"status": "ok"})


def stats(world: World, *, series: int) -> Mapping[str, object]:
    """The figures of `GET /_simulator/stats`; of people, not of calls, unless named calls."""
    box, calls, now = world.mailbox, world.calls, world.clock()
    return {
        "now": now,
        "accepted": box.accepted,
        "accepted_per_operation": box.accepted_by,
        "accepted_per_campaign": box.campaigns,
        "distinct_accepted": box.distinct,
        "duplicates": {"recipients": box.duplicate_recipients, "extra": box.extra_acceptances},
        "suppressed": box.suppressed,
        "throttled": box.refused["ACCOUNT_THROTTLED"],
        "refused": box.refused,
        "calls": calls.by_operation,
        "errors": calls.errors,
        "busiest_second": box.busiest_second,
        "max_in_window": world.account.window.peak,
        "sent_last_window": world.account.window.total(now),
        "first_accepted_at": box.first_at,
        "last_accepted_at": box.last_at,
        "accepted_per_second": box.per_second(series),
    }


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


async def _given(request: web.Request) -> object:
    try:
        return orjson.loads(await request.read() or b"{}")
    except orjson.JSONDecodeError as bad:
        raise _refused(bad) from None


def _object(given: object) -> Mapping[str, object]:
    if not isinstance(given, dict):
        raise _refused(ValueError("a JSON object is needed"))
    return given


def _number(request: web.Request, name: str, otherwise: int) -> int:
    given = request.query.get(name, "")
    return int(given) if given.isdigit() else otherwise


def _refused(reason: Exception) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(
        body=orjson.dumps({"error": str(reason)}), content_type="application/json"
    )
