"""`python -m simulator`: reads the flags, serves until a signal comes."""

import asyncio
import signal
import tomllib
from collections.abc import Iterator
from dataclasses import Field
from pathlib import Path
from typing import Any

import click
import orjson
from aiohttp import web

from simulator.app import build
from simulator.faults import Fault, FaultError, read_fault
from simulator.inspection import Stage
from simulator.settings import FIELDS, SettingError, Settings, changed
from simulator.world import unix_clock


def main() -> None:
    _command()


def run(host: str, port: int, faults: Path | None, **values: Any) -> None:
    """Serve a local Amazon SES (API v2) that enforces rate and quota and fails on demand."""
    try:
        settings = changed(Settings(), values)
        stage = Stage(settings, _read_faults(faults), unix_clock())
    except (SettingError, FaultError, ValueError) as bad:
        raise click.UsageError(str(bad)) from None
    try:
        asyncio.run(_serve(stage, host, port))
    except OSError as trouble:
        raise click.ClickException(f"cannot listen on {host}:{port}: {trouble}") from None


async def _serve(stage: Stage, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # No grace: a call that hangs on purpose must not keep the process alive.
    runner = web.AppRunner(build(stage), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=1024)
    await site.start()
    bound_host, bound_port = runner.addresses[0][:2]
    click.echo(f"simulator listening on http://{bound_host}:{bound_port}", err=True)
    await stop.wait()
    await runner.cleanup()


def _read_faults(path: Path | None) -> list[Fault]:
    """`[[fault]]` tables of a TOML file, or a list of objects in a JSON file."""
    if path is None:
        return []
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        given = orjson.loads(content)
    else:
        given = tomllib.loads(content).get("fault", [])
    return [read_fault(one) for one in given]


def _options() -> Iterator[click.Option]:
    yield click.Option(["--host"], default="127.0.0.1", help="address to listen on")
    yield click.Option(["--port"], default=8005, type=int, help="0: any free port")
    yield click.Option(
        ["--faults"],
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="TOML ([[fault]]) or JSON file of faults to start with",
    )
    for name, one in FIELDS.items():
        yield _option(name, one)


def _option(name: str, one: "Field[Any]") -> click.Option:
    flag = one.metadata["flag"] or "--" + name.replace("_", "-")
    about, default = one.metadata["about"], one.default
    if isinstance(default, bool):
        switch = f"{flag}/--no-{flag.removeprefix('--')}"
        return click.Option([name, switch], default=default, help=about)
    if isinstance(default, tuple):
        return click.Option([name, flag], multiple=True, help=about)
    return click.Option(
        [name, flag], default=default, type=type(default), help=about, show_default=True
    )


_command = click.Command(
    "simulator", params=list(_options()), callback=run, help=run.__doc__, no_args_is_help=False
)

if __name__ == "__main__":
    main()
