"""N scheduled, N paused and N waiting campaigns beside one that runs: what cannot be sent costs
nothing. `python -m benchmarks.idle_campaigns [N ...]`; else 100, 1,000 and 10,000.
"""

import os
import subprocess
import sys
import time
from typing import Any

from benchmarks.lab import Lab, lab, report
from benchmarks.planting import copies, put_in_line
from benchmarks.watching import Watch, pause, until, watch
from postroom.localstack.stack import Shape
from postroom.model import State
from postroom.store.live import Live

_RATE, _SECONDS = 200, 10
_IDLE_SECONDS = 20
_SUBMITS = 100
_ACCOUNTS = (
    "[accounts.resting]\nregion = 'eu-central-1'\n"
    "[senders.later]\naccount = 'resting'\nfrom = 'later@shop.example.com'"
)
_LATER = 10 * 24 * 3600


def main() -> None:
    for number in [int(one) for one in sys.argv if one.isdigit()] or (100, 1_000, 10_000):
        shape = Shape(
            workers=2, rate=_RATE, latency_ms=40, simulator_options=("--burst-seconds", "1")
        )
        with lab(shape, account=_ACCOUNTS) as room, watch(room) as seen:
            room.run(_RATE * 2)  # Warm.
            before = _beside(room)
            _plant(room, seen, number)
            idle = _idle(room, seen)
            report("idle_campaigns", of_each=number, **idle, **_commands(room))
            after = _beside(room)
            report(
                "idle_campaigns",
                of_each=number,
                rate=after["rate"],
                share=after["rate"] / _RATE,
                submit_ms=after["submit_ms"],
                rate_alone=before["rate"],
                submit_ms_alone=before["submit_ms"],
            )


def _plant(room: Lab, seen: Watch, number: int) -> None:
    """Scheduled and paused ones are of the account that sends, waiting ones of one that rests."""
    for account in ("local", "resting"):
        room.postroom.pause_account(account)
    first, waiting = room.submit(5), room.submit(5, sender="later")
    for one in (first, waiting):
        until(lambda one=one: room.postroom.status(one).state is State.WAITING, "it is split")
    store = seen.store
    scheduled = {"send_at": store.seconds() + _LATER}
    put_in_line(room, store, copies(store, first, number, scheduled))
    copies(store, first, number, {"steer": "paused"})
    put_in_line(room, store, copies(store, waiting, number, {}))
    room.postroom.cancel(first)
    room.postroom.resume_account("local")
    pause(5)


def _idle(room: Lab, seen: Watch) -> dict[str, Any]:
    """Count what two workers and Redis do while nothing can be sent."""
    spent, commands, began = room.cpu(), _processed(seen), time.monotonic()
    pause(_IDLE_SECONDS)
    took = time.monotonic() - began
    after = room.cpu()
    ours = {kind: (after[kind] - spent[kind]) / took for kind in ("worker", "redis")}
    return {
        "round_seconds": Live(seen.store).round_seconds(),
        "idle_share_of_a_core": sum(ours.values()),
        "of_workers": ours["worker"],
        "of_redis": ours["redis"],
        "commands_per_second": (_processed(seen) - commands) / took,
    }


def _commands(room: Lab) -> dict[str, float]:
    """Time the commands that people type, and their CPU; all of them pay `--version`."""
    took = {}
    for command in ("--version", "list", "doctor"):
        began, spent = time.monotonic(), os.times().children_user + os.times().children_system
        done = subprocess.run(
            [sys.executable, "-m", "postroom.cli", command],
            env=room.stack.environ,
            capture_output=True,
            check=False,
        )
        if done.returncode > (command == "doctor"):  # It complains of the account that rests.
            raise SystemExit(done.stderr.decode())
        name = command.strip("-")
        cpu = os.times().children_user + os.times().children_system - spent
        took |= {f"{name}_seconds": time.monotonic() - began, f"{name}_cpu_seconds": cpu}
    return took


def _beside(room: Lab) -> dict[str, float]:
    """Send one campaign, then submit some small ones: rate held, and how long a submit takes."""
    counts = room.run(_RATE * _SECONDS).stats["accepted_per_second"]
    last = counts[-1][0]
    steady = [count for second, count in counts if last - _SECONDS < second < last]
    began = time.monotonic()
    made = [room.submit(1) for _ in range(_SUBMITS)]
    submitted = time.monotonic() - began
    for one in made:
        room.wait(one, 120)
    return {"rate": sum(steady) / (_SECONDS - 1), "submit_ms": submitted / _SUBMITS * 1e3}


def _processed(seen: Watch) -> int:
    return int(seen.store.client.info("stats")["total_commands_processed"])


if __name__ == "__main__":
    main()
