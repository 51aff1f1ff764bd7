"""Single mode while SES is slow for 45 s and refuses nothing; two workers, settings as they come.

`resend`, so that a call that left too late is seen: it is mailed twice. In the middle of it the
campaign is paused. `python -m benchmarks.brown_out [MILLISECONDS ...]`.
"""

import sys
import time

from benchmarks.lab import lab, report
from benchmarks.watching import Watch, pause, sampled, until, watch
from postroom import settings
from postroom.localstack import simulator
from postroom.localstack.stack import Shape
from postroom.model import CampaignId, OnAmbiguous

_WORKERS = 2
_FAST_MS = 60.0
_SLOW_SECONDS, _PAUSE_AFTER_SECONDS = 45.0, 20.0
_RECIPIENTS = {60: 50_000, 2_000: 15_000, 15_000: 10_000}
"""By the milliseconds a call takes in the brown-out: it must not be over before."""


def main() -> None:
    for slow_ms in [int(one) for one in sys.argv[1:] if one.isdigit()] or _RECIPIENTS:
        shape = Shape(workers=_WORKERS, latency_ms=_FAST_MS)
        with lab(shape, account="send_mode = 'single'") as room, watch(room) as see:
            _measure(see, slow_ms)


def _measure(see: Watch, slow_ms: int) -> None:
    room, recipients = see.room, _RECIPIENTS[slow_ms]
    campaign_id = room.submit(recipients, on_ambiguous=OnAmbiguous.RESEND)
    with sampled(lambda: _sending(see, campaign_id), 0.02) as samples:
        until(lambda: see.accepted(campaign_id) > recipients / 20, "mails leave")
        late, sent = _brown_out(see, campaign_id, slow_ms)
        status = room.wait(campaign_id, 300)
    worker = settings.load(room.stack.environ).worker
    stats = simulator.stats(room.stack.ses_url)
    report(
        "brown_out",
        call_seconds=slow_ms / 1000,
        brown_out_seconds=_SLOW_SECONDS,
        recipients=recipients,
        lease_seconds=worker.lease_seconds,
        looks=len(samples),
        sending_max=max(samples),
        sending_allowed=worker.single_calls * _WORKERS,
        mailed_after_the_pause=sent,
        last_mail_after_pause_seconds=late,
        last_mail_allowed_seconds=1 + slow_ms / 1000,
        ambiguous=status.totals.ambiguous,
        lost=recipients - stats["distinct_accepted"],
        twice=stats["duplicates"]["extra"],
    )


def _brown_out(see: Watch, campaign_id: CampaignId, slow_ms: int) -> tuple[float, int]:
    """Return how long after the pause the last mail was accepted, and how many were in it."""
    room, began = see.room, time.monotonic()
    room.ask_ses("POST", "settings", {"latency_ms": float(slow_ms)})
    pause(_PAUSE_AFTER_SECONDS)
    room.postroom.pause(campaign_id)
    returned, before = time.time(), see.accepted(campaign_id)
    until(lambda: not _sending(see, campaign_id), "the calls in flight are settled")
    pause(3)
    late, sent = see.last_accepted_at() - returned, see.accepted(campaign_id) - before
    room.postroom.resume(campaign_id)
    pause(began + _SLOW_SECONDS - time.monotonic())
    room.ask_ses("POST", "settings", {"latency_ms": _FAST_MS})
    return late, sent


def _sending(see: Watch, campaign_id: CampaignId) -> int:
    return see.room.postroom.status(campaign_id).totals.sending


if __name__ == "__main__":
    main()
