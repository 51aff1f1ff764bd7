"""A local SES in a thread of this process."""

import asyncio
import threading
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any, Final

from postroom import clock
from postroom.localstack.program import LocalStackError

_START_SECONDS: Final = 10.0
_MAILS_KEPT: Final = 100_000


class LocalSes:
    """Takes every mail at once and keeps it. The simulator must be importable."""

    def __init__(self) -> None:
        settings = resolve_name("simulator.settings:Settings")
        # Each test reads the account anew, and may do so more than once a second.
        values = settings(mails_kept=_MAILS_KEPT, management_rate=0.0)
        self._stage: Final = resolve_name("simulator.inspection:Stage")(values, (), clock.now)
        self._loop: Final = asyncio.new_event_loop()
        self._ready: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="postroom-ses", daemon=True)
        self.url = ""

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise LocalStackError("the local SES did not start")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def reset(self) -> None:
        """Forget every mail."""
        self._stage.reset()

    def mails(self) -> list[Mapping[str, Any]]:
        """Return what was accepted, newest first, as `GET /_simulator/mails` shows it."""
        described = resolve_name("simulator.reading:described")
        return [described(mail) for mail in self._stage.world.mailbox.newest(_MAILS_KEPT)]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._served())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _served(self) -> Any:
        web = resolve_name("aiohttp.web")
        app = resolve_name("simulator.app:build")(self._stage)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner
