"""A worker is killed: what is in doubt, and how long its batches lie still. Default lease: 30 s.

Then one is asked to stop: how long that takes, and that nothing is in doubt.
"""

import signal
import time

from benchmarks.lab import lab, report
from benchmarks.watching import Watch, until, watch
from postroom import settings
from postroom.localstack import simulator
from postroom.localstack.stack import Shape
from postroom.model import CampaignId

_RECIPIENTS = 100_000
_SLOTS = 8
_CALL = 50


def main() -> None:
    # 300 ms a call, so that many are in flight at the moment of the kill.
    for how in (signal.SIGKILL, signal.SIGTERM):
        with (
            lab(Shape(workers=2, latency_ms=300), POSTROOM_WORKER__SLOTS=str(_SLOTS)) as room,
            watch(room) as see,
        ):
            _measure(see, how)


def _measure(see: Watch, how: signal.Signals) -> None:
    room = see.room
    campaign_id = room.submit(_RECIPIENTS)
    until(lambda: see.accepted(campaign_id) > _RECIPIENTS / 10, "the campaign is under way")
    held = see.held_by(campaign_id, room.stack.workers[0].pid)
    asked = time.monotonic()
    room.stack.kill_worker(0, how)
    ended = time.monotonic() - asked
    room.stack.start_worker()
    until(lambda: not _still(see, campaign_id, held), "all of its batches are in other hands")
    recovered = time.monotonic() - asked
    status = room.wait(campaign_id, 300)
    duplicates = simulator.stats(room.stack.ses_url)["duplicates"]["extra"]
    report(
        "recovery",
        signal=how.name,
        lease_seconds=settings.load(room.stack.environ).worker.lease_seconds,
        batches_held=len(held),
        ambiguous=status.totals.ambiguous,
        ambiguous_allowed=_SLOTS * _CALL if how is signal.SIGKILL else 0,
        ended_after_seconds=ended,
        recovered_after_seconds=recovered,
        accepted=see.accepted(campaign_id),
        duplicates=duplicates,
    )


def _still(see: Watch, campaign_id: CampaignId, held: dict[bytes, bytes]) -> bool:
    leases = see.leases(campaign_id)
    return any(leases.get(number, (b"",))[0] == fence for number, fence in held.items())


if __name__ == "__main__":
    main()
