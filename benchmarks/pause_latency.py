"""`pause`: when the last mail is accepted after the command returned. Eight worker processes."""

import time

from benchmarks.lab import lab, report
from benchmarks.watching import Watch, pause, until, watch
from postroom.localstack.stack import Shape

_WORKERS = 8
_RATE = 1000
_LATENCY_MS = 60
_PAUSES = 5


def main() -> None:
    for mode in ("bulk", "single"):
        shape = Shape(workers=_WORKERS, rate=_RATE, latency_ms=_LATENCY_MS)
        with (
            lab(shape, account=f"send_mode = '{mode}'", POSTROOM_WORKER__SLOTS="8") as room,
            watch(room) as see,
        ):
            late = _measure(see)
        report(
            "pause_latency",
            mode=mode,
            workers=_WORKERS,
            rate=_RATE,
            latency_ms=_LATENCY_MS,
            pauses=_PAUSES,
            command_seconds_max=max(took for took, _ in late),
            last_call_seconds_max=max(after for _, after in late),
        )


def _measure(see: Watch) -> list[tuple[float, float]]:
    """Return for each pause how long the command took, and how long after it a mail left."""
    post, found = see.room.postroom, []
    campaign_id = see.room.submit(100 * _RATE)
    for _ in range(_PAUSES):
        before = see.accepted(campaign_id)
        until(lambda before=before: see.accepted(campaign_id) > before + 2 * _RATE, "mails leave")
        asked = time.time()
        post.pause(campaign_id)
        returned = time.time()
        pause(3)
        found.append((returned - asked, see.last_accepted_at() - returned))
        post.resume(campaign_id)
    post.cancel(campaign_id)
    return found


if __name__ == "__main__":
    main()
