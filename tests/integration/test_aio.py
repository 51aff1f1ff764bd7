"""The asyncio door: the same rules, and no thread for each call."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from postroom import aio
from postroom.errors import BadInputError, RefusedError
from postroom.model import Campaign, Message, State, Submission
from postroom.outgoing import Outgoing
from postroom.settings import Settings
from postroom.store.connection import Store
from tests.support.worker_harness import WorkerHarness

RESET = Message(subject="Reset", text="Dear {{ name }}, here is your link.")


def run(settings: Settings, what: Callable[[aio.Postroom], Awaitable[None]]) -> None:
    async def body() -> None:
        async with aio.Postroom(settings=settings) as post:
            await what(post)

    asyncio.run(body())


def test_many_tasks_send_at_once_from_a_few_threads(
    post: WorkerHarness, settings: Settings, store: Store
) -> None:
    before = threading.active_count()
    threads = []

    async def work(door: aio.Postroom) -> None:
        async def one(number: int) -> Submission:
            answer = await door.send(
                "news", RESET, {"email": f"u{number}@x.example", "name": "Ana"}
            )
            threads.append(threading.active_count() - before)
            return answer

        made = await asyncio.gather(*map(one, range(500)))
        assert len({answer.id for answer in made}) == 500

    calls = store.client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
    run(settings, work)
    calls = store.client.info("commandstats")["cmdstat_evalsha"]["calls"] - calls
    assert max(threads) <= 4
    assert calls < 100


def test_each_task_gets_its_own_answer_or_error(post: WorkerHarness, settings: Settings) -> None:
    async def work(door: aio.Postroom) -> None:
        good, bad, other = await asyncio.gather(
            door.send("news", RESET, {"email": "ana@x.example", "name": "Ana"}, key="one"),
            door.send("news", RESET, "ana@x.example"),
            door.send("news", RESET, {"email": "bob@x.example", "name": "Bob"}, key="one"),
            return_exceptions=True,
        )
        assert isinstance(good, Submission)
        assert isinstance(bad, BadInputError)
        assert "lacks: name" in str(bad)
        assert isinstance(other, RefusedError)

    run(settings, work)


def test_a_campaign_is_handed_in_and_looked_at(post: WorkerHarness, settings: Settings) -> None:
    async def work(door: aio.Postroom) -> None:
        campaign = Campaign(name="spring", sender="news", subject="Hi", text="Hello")
        made = await door.submit(campaign, ["ana@x.example"], key="spring")
        assert (await door.status(made.id)).state is State.SPLITTING
        [sent] = await door.send_many(
            "news", [Outgoing(Message(subject="a", text="b"), "c@x.example")]
        )
        assert isinstance(sent, Submission)
        assert (await door.status(sent.id)).totals.pending == 1
        with pytest.raises(BadInputError):
            await door.submit(campaign, "ana@x.example")

    run(settings, work)


def test_a_task_that_is_cancelled_hinders_no_other(post: WorkerHarness, settings: Settings) -> None:
    async def work(door: aio.Postroom) -> None:
        ana = {"email": "ana@x.example", "name": "Ana"}
        tasks = [asyncio.create_task(door.send("news", RESET, ana)) for _ in range(5)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert all(isinstance(one, Submission) for one in answers[1:])

    run(settings, work)


def test_a_second_event_loop_is_told_and_does_not_wait_for_ever(
    post: WorkerHarness, settings: Settings
) -> None:
    ana = {"email": "ana@x.example", "name": "Ana"}

    async def elsewhere(door: aio.Postroom) -> None:
        await asyncio.wait_for(door.send("news", RESET, ana), 5)

    async def work(door: aio.Postroom) -> None:
        await door.send("news", RESET, ana)
        with pytest.raises(RuntimeError, match="another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(elsewhere(door)))

    run(settings, work)


def test_goes_on_in_a_new_event_loop_after_one_that_broke_off_while_it_sent(
    post: WorkerHarness, settings: Settings
) -> None:
    door = aio.Postroom(settings=settings)
    ana = {"email": "ana@x.example", "name": "Ana"}

    async def broken_off() -> None:
        task = asyncio.create_task(door.send("news", RESET, ana))
        await asyncio.sleep(0)
        task.cancel()

    async def work() -> None:
        answer = await asyncio.wait_for(door.send("news", RESET, ana), 5)
        assert isinstance(answer, Submission)
        await door.close()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(broken_off())
    loop.close()
    asyncio.run(work())
