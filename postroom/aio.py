"""The door for asyncio services: `await`-able twins of what `postroom.Postroom` does.

Every rule is the sync client's. Messages that tasks send at the same time go together, from one
thread, however many tasks there are; all else is done by a few threads.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from typing import Any, BinaryIO, Final, NamedTuple, Self, TypeVar

from postroom import client
from postroom.errors import PostroomError
from postroom.model import Campaign, Message, Recipient, Status, Submission
from postroom.outgoing import Outgoing
from postroom.settings import Settings
from postroom.submission.shipping import Recipients

_THREADS: Final = 4
_AT_ONCE: Final = 1_000

_Result = TypeVar("_Result")


class _Sending(NamedTuple):
    """One `send` that waits to go along."""

    sender: str
    message: Outgoing
    answer: "asyncio.Future[Submission]"


class Postroom:
    """For one event loop. Raises what the sync client raises; see there for the contracts."""

    def __init__(self, redis_url: str | None = None, *, settings: Settings | None = None) -> None:
        self._sync: Final = client.Postroom(redis_url, settings=settings)
        self._threads: Final = ThreadPoolExecutor(_THREADS, thread_name_prefix="postroom-aio")
        self._sending: Final[deque[_Sending]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flushing: asyncio.Task[None] | None = None

    async def send(
        self,
        sender: str,
        message: Message,
        recipient: Recipient | Mapping[str, Any] | str,
        *,
        key: str | None = None,
    ) -> Submission:
        """Send one message, along with those of other tasks. Cancelled, it may be sent all the
        same.
        """
        loop = asyncio.get_running_loop()
        if self._loop is None or self._loop.is_closed():
            self._loop, self._flushing = loop, None
            self._sending.clear()
        if loop is not self._loop:
            raise RuntimeError("this postroom.aio.Postroom is of another event loop: make one here")
        answer: asyncio.Future[Submission] = loop.create_future()
        self._sending.append(_Sending(sender, Outgoing(message, recipient, key), answer))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await answer

    async def send_many(
        self, sender: str, messages: Sequence[Outgoing]
    ) -> Sequence[Submission | PostroomError]:
        """Send up to 1,000 messages; an answer for each."""
        return await self._in_thread(self._sync.send_many, sender, messages)

    async def submit(
        self,
        campaign: Campaign,
        recipients: Recipients | None = None,
        *,
        raw: BinaryIO | None = None,
        source: str | None = None,
        key: str | None = None,
        strict: bool = False,
        email_column: str | None = None,
    ) -> Submission:
        """Hand in a campaign. `recipients` and `raw` are read in a thread."""
        return await self._in_thread(
            partial(
                self._sync.submit,
                raw=raw,
                source=source,
                key=key,
                strict=strict,
                email_column=email_column,
            ),
            campaign,
            recipients,
        )

    async def status(self, campaign_id: str) -> Status:
        """Return how a campaign or a message stands."""
        return await self._in_thread(self._sync.status, campaign_id)

    async def close(self) -> None:
        """Wait for what is being sent, and close the connections."""
        if self._flushing is not None:
            await self._flushing
        await self._in_thread(self._sync.close)
        self._threads.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def _flush(self) -> None:
        """Send all that waits, and what comes meanwhile; nobody waits for another to come."""
        while self._sending:
            taken = [self._sending.popleft() for _ in range(min(_AT_ONCE, len(self._sending)))]
            for sender, some in groupby(taken, key=lambda one: one.sender):
                await self._send(sender, list(some))

    async def _send(self, sender: str, some: Sequence[_Sending]) -> None:
        answers: Sequence[Submission | Exception]
        try:
            answers = await self.send_many(sender, [one.message for one in some])
        except Exception as error:  # noqa: BLE001 - each of them gets to know
            answers = [error] * len(some)
        for one, answer in zip(some, answers, strict=True):
            if one.answer.done():
                continue  # Its caller was cancelled.
            if isinstance(answer, Submission):
                one.answer.set_result(answer)
            else:
                one.answer.set_exception(answer)

    async def _in_thread(self, call: Callable[..., _Result], *args: Any) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)
