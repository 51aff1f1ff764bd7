"""N campaigns whose `send_at` is the same second, beside one of another account that runs at 200/s:
when all have begun, how late the first is, and what the running one keeps of its rate.
`python -m benchmarks.same_second [N ...]`; else 1,000 and 10,000.
"""

import sys
from collections.abc import Iterable
from contextlib import suppress

from benchmarks.lab import Lab, lab, report
from benchmarks.planting import copies, put_in_line
from benchmarks.watching import Watch, pause, until, watch
from postroom.errors import RefusedError
from postroom.localstack.stack import Shape
from postroom.model import CampaignId, State

_RATE = 200
_RUNNING = _RATE * 300
_ACCOUNTS = (
    f"[accounts.steady]\nregion = 'eu-central-1'\nmax_send_rate = {_RATE}\n"
    "[senders.steady]\naccount = 'steady'\nfrom = 'steady@shop.example.com'"
)
_BEFORE_SECONDS = 10.0
_LONGEST_SECONDS = 600.0
_AT_ONCE = 1_000


def main() -> None:
    for number in [int(one) for one in sys.argv if one.isdigit()] or (1_000, 10_000):
        shape = Shape(workers=2, latency_ms=40)
        with lab(shape, account=_ACCOUNTS) as room, watch(room) as seen:
            room.run(5_000)  # Warm.
            room.postroom.pause_account("local")
            first = room.submit(5)
            until(lambda first=first: room.postroom.status(first).state is State.WAITING, "split")
            _measure(room, seen, first, number)


def _measure(room: Lab, seen: Watch, first: CampaignId, number: int) -> None:
    store = seen.store
    moment = float(int(store.seconds()) + 30 + number // 500)
    made = copies(store, first, number, {"send_at": moment})
    put_in_line(room, store, made)
    room.postroom.cancel(first)
    room.postroom.resume_account("local")
    running = room.submit(_RUNNING, sender="steady")
    until(lambda: store.seconds() > moment - _BEFORE_SECONDS, "their moment is near")
    before, at = seen.accepted(running), store.seconds()
    pause(_BEFORE_SECONDS - 1)
    alone = (seen.accepted(running) - before) / (store.seconds() - at)
    until(lambda: store.seconds() >= moment, "their moment comes")
    before, at = seen.accepted(running), store.seconds()
    while _begun(seen, made) < number and store.seconds() < moment + _LONGEST_SECONDS:
        pause(0.2)  # A look at all of them costs Redis some milliseconds.
    took = store.seconds() - moment
    beside = (seen.accepted(running) - before) / (store.seconds() - at)
    late = min(_firsts(seen, made)) - moment
    with suppress(RefusedError):  # It has finished.
        room.postroom.cancel(running)
    report(
        "same_second",
        campaigns=number,
        all_begun_seconds=took,
        first_mail_late_seconds=late,
        running_alone=alone,
        running_beside=beside,
        share=beside / alone,
    )


def _begun(seen: Watch, campaigns: list[CampaignId]) -> int:
    return sum(1 for _ in _firsts(seen, campaigns))


def _firsts(seen: Watch, campaigns: list[CampaignId]) -> Iterable[float]:
    """Yield when the first call of each was made, of those that have begun."""
    keys, client = seen.store.keys, seen.store.client
    for at in range(0, len(campaigns), _AT_ONCE):
        pipeline = client.pipeline(transaction=False)
        for one in campaigns[at : at + _AT_ONCE]:
            pipeline.hget(keys.campaign(one).campaign, "started_at")
        yield from (float(found) for found in pipeline.execute() if found)


if __name__ == "__main__":
    main()
