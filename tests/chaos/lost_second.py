"""`python -m tests.chaos.lost_second`: what it costs when Redis comes back a second younger.

As after a failover to a replica that was behind, or a power cut under `appendfsync everysec`:
the append-only file is put aside, a second goes by, Redis is killed and started over the old one.
"""

import json
import shutil
import sys
from typing import Any

from postroom import clock
from postroom.model import Campaign, CampaignId, SenderName, State
from tests.chaos.rig import Rig, Shape
from tests.chaos.verdict import judge
from tests.support.waiting import wait_until

_LOST_SECONDS = 1.0
_TIMES = 5
_CALL = 50


def main() -> None:
    rated = Shape(workers=2, slots=6, rate=1000.0, latency_ms=150.0)
    fast = Shape(workers=2, slots=6, latency_ms=250.0)
    for name, shape, recipients in (("1000/s", rated, 20_000), ("unlimited", fast, 60_000)):
        figures = measure(shape, recipients)
        sys.stdout.write(json.dumps({"run": f"lost second, {name}", **figures}) + "\n")
        if figures["broken"]:
            sys.exit(1)


def measure(shape: Shape, recipients: int) -> dict[str, Any]:
    addresses = [f"person{number}@example.org" for number in range(recipients)]
    campaign = Campaign(
        name="lost second",
        sender=SenderName("news"),
        subject="Hello",
        text="Good morning",
        batch_size=200,
    )
    with Rig(shape) as rig:
        campaign_id = rig.post.submit(campaign, addresses).id
        sent = [_lose(rig, recipients * share // (_TIMES + 2)) for share in range(1, _TIMES + 1)]
        wait_until(lambda: _finished(rig, campaign_id), "the campaign is finished", seconds=180)
        verdict = judge(rig, campaign_id, addresses)
        in_flight = shape.workers * shape.slots * _CALL
        return {
            "recipients": recipients,
            "times": _TIMES,
            "sent_in_the_lost_seconds": sum(sent),
            "in_flight_at_most": in_flight,
            "twice": verdict.twice,
            "lost": verdict.lost,
            "ambiguous": verdict.ambiguous,
            "broken": verdict.broken(twice_at_most=sum(sent) + _TIMES * in_flight) + rig.died(),
        }


def _lose(rig: Rig, when_accepted: int) -> int:
    """Make Redis forget a second; return how many mails were accepted in it."""
    wait_until(lambda: _accepted(rig) > when_accepted, "it is under way", seconds=120)
    kept = rig.redis_folder.parent / "older"
    shutil.copytree(rig.redis_folder, kept)
    known = _accepted(rig)
    clock.sleep(_LOST_SECONDS)
    rig.kill_redis()
    sent = _accepted(rig) - known
    shutil.rmtree(rig.redis_folder)
    kept.rename(rig.redis_folder)
    rig.start_redis()
    return sent


def _accepted(rig: Rig) -> int:
    return int(rig.stats()["accepted"])


def _finished(rig: Rig, campaign_id: CampaignId) -> bool:
    return rig.post.status(campaign_id).state is State.FINISHED


if __name__ == "__main__":
    main()
