"""One run: a campaign, faults while it is sent, and the laws at its end."""

import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.error import URLError

import redis

from postroom import clock
from postroom.errors import PostroomError
from postroom.model import Campaign, CampaignId, OnAmbiguous, SenderName, State
from tests.chaos.fault_injector import FaultInjector
from tests.chaos.faults import Fault, draw
from tests.chaos.plans import Plan
from tests.chaos.recovery import Recovery
from tests.chaos.rig import LEASE_SECONDS, Rig
from tests.chaos.verdict import judge

_CALL = 50


def run(plan: Plan, seed: int) -> dict[str, Any]:
    """Do it all; return the figures, with the laws that were broken under `broken`."""
    addresses = [f"person{number}@example.org" for number in range(plan.recipients)]
    with Rig(plan.shape) as rig:
        started = time.monotonic()
        campaign_id = _submit(rig, plan, addresses)
        recovery = Recovery(rig, campaign_id)
        injector = FaultInjector(rig, recovery, campaign_id)
        try:
            storm = Storm(rig, injector, recovery, campaign_id, plan)
            done = storm.kill_producers() + storm.rage(draw(seed, plan.faults, plan.bag))
            storm.calm()
        finally:
            injector.mend(all_of_it=True)
            injector.close()
        found = judge(rig, campaign_id, addresses)
        broken = found.broken(twice_at_most=_twice_at_most(plan, done))
        broken += storm.unbalanced[:1]
        broken += [f"{name} died by itself" for name in rig.died()]
        if broken:
            kept = rig.keep_logs(Path(mkdtemp(prefix=f"postroom-chaos-{plan.name}-{seed}-")))
            broken.append(f"logs: {kept}")
        return {
            "run": plan.name,
            "seed": seed,
            "faults": len(done),
            "seconds": round(time.monotonic() - started, 1),
            **asdict(found),
            "kills_with_batches": len(recovery.seconds) + recovery.open,
            "recovered_seconds_median": _median(recovery.seconds),
            "recovered_seconds_max": round(max(recovery.seconds, default=0.0), 1),
            "never_recovered": recovery.open,
            "broken": broken,
        }


class Storm:
    """Faults, spread over the sending of a campaign."""

    def __init__(
        self,
        rig: Rig,
        injector: FaultInjector,
        recovery: Recovery,
        campaign_id: CampaignId,
        plan: Plan,
    ) -> None:
        self._rig = rig
        self._injector = injector
        self._recovery = recovery
        self._campaign_id = campaign_id
        self._plan = plan
        self.unbalanced: list[str] = []

    def kill_producers(self) -> list[Fault]:
        """Kill producers while they split, each a little further on than the one before."""
        done: list[Fault] = []
        key = self._rig.keys.campaign(self._campaign_id).campaign
        for number in range(self._plan.producers_killed):
            while True:
                batches, split = self._rig.client.hmget(key, "batches", "split")
                if split == b"1":
                    return done
                if int(batches or 0) > 100 * number:
                    break
            done.append(Fault("kill_producer", 0, 0.0))
            self._injector.do(done[-1])
            self._injector.mend(all_of_it=True)
        return done

    def rage(self, faults: list[Fault]) -> list[Fault]:
        """Do the faults while the campaign is sent; return those that there was time for."""
        last = clock.now()
        done: list[Fault] = []
        for fault in faults:
            while not self._time_for(len(done), last) or not self._injector.ready_for(fault):
                if self._turn():
                    return done
            self._injector.do(fault)
            done.append(fault)
            last = clock.now()
        return done

    def calm(self) -> None:
        """Nothing goes wrong any more: wait for the end, which must come by itself."""
        self._injector.mend(all_of_it=True)
        self._rig.disarm()
        deadline = clock.now() + self._plan.calm_seconds
        while clock.now() < deadline and not self._turn():
            pass
        # What a dead worker held must have been taken by now; give the last look a moment.
        self._recovery.look()

    def _turn(self) -> bool:
        """Let a little time pass; returns whether the campaign has finished."""
        self._injector.mend()
        self._recovery.look()
        clock.sleep(0.05)
        with suppress(PostroomError, redis.RedisError):
            status = self._rig.post.status(self._campaign_id)
            if not status.totals.balanced:
                self.unbalanced.append(f"unbalanced: {status.totals}")
            return status.state in (State.FINISHED, State.HALTED)
        return False

    def _time_for(self, done: int, last: float) -> bool:
        passed = clock.now() - last
        if passed > self._plan.longest_pause_seconds:
            return True
        return passed > 0.3 and self._progress() > 0.92 * done / self._plan.faults

    def _progress(self) -> float:
        with suppress(URLError, OSError):
            return float(self._rig.stats()["distinct_accepted"] / self._plan.recipients)
        return 0.0


def _submit(rig: Rig, plan: Plan, addresses: list[str]) -> CampaignId:
    campaign = Campaign(
        name=plan.name,
        sender=SenderName("news"),
        subject="Hello {{ email }}",
        text="Good morning",
        on_ambiguous=plan.on_ambiguous,
        batch_size=plan.batch_size,
    )
    return rig.post.submit(campaign, addresses, key=plan.name).id


def _twice_at_most(plan: Plan, done: list[Fault]) -> int:
    """Under `resend`: the calls that a fault can have left in flight, of the workers it hits."""
    if plan.on_ambiguous is OnAmbiguous.SKIP:
        return 0
    in_flight = plan.shape.workers * plan.shape.slots * _CALL
    return len(done) * in_flight


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    return round(ordered[len(ordered) // 2], 1) if ordered else 0.0


__all__ = ["LEASE_SECONDS", "Plan", "run"]
