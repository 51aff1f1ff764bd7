"""A run of messages: a service that hands in a stream of them while everything goes wrong.

It sends each again with the same key until it has its id, as a service must that lost a reply.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis

from postroom import clock
from postroom.errors import PostroomError, StoreUnavailableError
from postroom.ids import Place, place_of
from postroom.model import CampaignId, Message, OnAmbiguous, Outcome, Submission
from postroom.outgoing import Outgoing
from postroom.wire import outcome_of
from tests.chaos.fault_injector import FaultInjector
from tests.chaos.faults import Fault, draw
from tests.chaos.plans import Plan
from tests.chaos.recovery import Recovery
from tests.chaos.rig import Rig

_AT_ONCE = 200
_CALL = 50


class Service(threading.Thread):
    """Hands in one message to each address, at an even pace, and forgets none."""

    def __init__(self, rig: Rig, plan: Plan, addresses: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._rig, self._plan, self._addresses = rig, plan, addresses
        self.places: dict[str, Place] = {}
        self.fault: PostroomError | None = None

    def run(self) -> None:
        for at in range(0, len(self._addresses), _AT_ONCE):
            some = [self._message(one) for one in self._addresses[at : at + _AT_ONCE]]
            while some and self.fault is None:
                some = self._hand_in(some)
            clock.sleep(_AT_ONCE / self._plan.messages_per_second)

    def _message(self, address: str) -> Outgoing:
        subject = f"Order of {address[:8]}"
        message = Message(subject=subject, text="Thanks", on_ambiguous=self._plan.on_ambiguous)
        return Outgoing(message, address, key=address)

    def _hand_in(self, some: Sequence[Outgoing]) -> list[Outgoing]:
        """Return those that must be handed in once more."""
        try:
            answers = self._rig.post.send_many("news", some)
        except StoreUnavailableError:
            clock.sleep(0.2)
            return list(some)
        again = []
        for one, answer in zip(some, answers, strict=True):
            place = place_of(answer.id) if isinstance(answer, Submission) else None
            if isinstance(place, Place):
                self.places[str(one.recipient)] = place
            elif isinstance(answer, StoreUnavailableError):
                again.append(one)
            elif isinstance(answer, PostroomError):
                self.fault = answer
        return again


def run(plan: Plan, seed: int) -> dict[str, Any]:
    """Do it all; return the figures, with the laws that were broken under `broken`."""
    addresses = [f"person{number}@example.org" for number in range(plan.recipients)]
    with Rig(plan.shape) as rig:
        started = time.monotonic()
        service = Service(rig, plan, addresses)
        service.start()
        rig.until(lambda: service.places, "the first messages are handed in")
        segment = next(iter(service.places.values())).segment
        injector = FaultInjector(rig, Recovery(rig, segment), segment)
        try:
            done = _rage(rig, injector, draw(seed, plan.faults, plan.bag), plan)
            injector.mend(all_of_it=True)
            rig.disarm()
            _calm(rig, service, plan)
        finally:
            injector.mend(all_of_it=True)
            injector.close()
        figures = _judge(rig, service, addresses)
        broken = _broken(figures, plan, done)
        broken += [f"refused: {service.fault}"] if service.fault else []
        broken += [f"{name} died by itself" for name in rig.died()]
        return {
            "run": plan.name,
            "seed": seed,
            "faults": len(done),
            "seconds": round(time.monotonic() - started, 1),
            **figures,
            "broken": broken,
        }


def _rage(rig: Rig, injector: FaultInjector, faults: list[Fault], plan: Plan) -> list[Fault]:
    """Do the faults evenly while messages come in."""
    done: list[Fault] = []
    pause = plan.recipients / plan.messages_per_second / len(faults)
    for fault in faults:
        until = clock.now() + pause
        while clock.now() < until or not injector.ready_for(fault):
            injector.mend()
            clock.sleep(0.05)
        injector.do(fault)
        done.append(fault)
    return done


def _calm(rig: Rig, service: Service, plan: Plan) -> None:
    """Nothing goes wrong any more: all must be handed in and come to its end by itself."""
    service.join(plan.calm_seconds)
    deadline = clock.now() + plan.calm_seconds
    while clock.now() < deadline:
        with suppress(PostroomError, redis.RedisError):
            if not any(_open(rig, one) for one in _segments(service)):
                return
        clock.sleep(0.2)


def _segments(service: Service) -> set[CampaignId]:
    return {place.segment for place in service.places.values()}


def _open(rig: Rig, segment: CampaignId) -> int:
    totals = rig.post.status(segment).totals
    return totals.pending + totals.sending


def _judge(rig: Rig, service: Service, addresses: Sequence[str]) -> dict[str, Any]:
    ledgers = {
        one: rig.client.get(rig.keys.campaign(one).ledger) or b"" for one in _segments(service)
    }
    taken: Counter[str] = Counter()
    for segment in ledgers:
        taken.update(rig.accepted(segment))
    told = {
        address: outcome_of(ledgers[place.segment][place.position])
        for address, place in service.places.items()
    }
    totals = [rig.post.status(one).totals for one in ledgers]
    ambiguous = [one for one, outcome in told.items() if outcome is Outcome.AMBIGUOUS]
    return {
        "recipients": len(addresses),
        "handed_in": len(told),
        "segments": len(ledgers),
        "accepted": len(taken),
        "lost": sum(
            one not in taken and told.get(one) in (None, Outcome.ACCEPTED) for one in addresses
        ),
        "twice": sum(taken.values()) - len(taken),
        "ambiguous": len(ambiguous),
        "ambiguous_accepted": sum(one in taken for one in ambiguous),
        "denied": sum(told.get(one) not in (Outcome.ACCEPTED, Outcome.AMBIGUOUS) for one in taken),
        "open": sum(one.pending + one.sending for one in totals),
        "balanced": all(one.balanced for one in totals)
        and sum(one.total for one in totals) == len(told),
    }


def _broken(figures: dict[str, Any], plan: Plan, done: Sequence[Fault]) -> list[str]:
    in_flight = len(done) * plan.shape.workers * plan.shape.slots * _CALL
    skip = plan.on_ambiguous is OnAmbiguous.SKIP
    laws = {
        "lost": figures["lost"] == 0,
        "twice": figures["twice"] <= (0 if skip else in_flight),
        "denied": figures["denied"] == 0,
        "more in doubt than was in flight": figures["ambiguous"] <= in_flight,
        "not all handed in": figures["handed_in"] == figures["recipients"],
        "not finished": figures["open"] == 0,
        "the books do not balance": figures["balanced"],
    }
    return [law for law, held in laws.items() if not held]
