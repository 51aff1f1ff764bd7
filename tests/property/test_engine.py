"""The engine as it is built for a process, whatever happens at any of its steps.

The real sender, caller, batch loop, producer, client, dispatcher and janitor over a real Redis
and a scripted SES. Before and after every script of a worker something may happen: it dies, its
reply is lost, Redis refuses or forgets, time passes as if it had been frozen, a person steers,
another worker takes what there is. Several campaigns, accounts and keys; a pool of SendEmail
calls that is smaller than what is asked of it.
"""

import dataclasses
import random
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any

import msgspec
import pytest

from postroom import clock, wire
from postroom.client import Postroom
from postroom.dispatch.release import release
from postroom.errors import RefusedError, StoreUnavailableError
from postroom.health.janitor import Janitor
from postroom.ids import Place, is_segment, place_of
from postroom.model import (
    AccountName,
    BatchRef,
    Campaign,
    CampaignId,
    Lane,
    Message,
    OnAmbiguous,
    Outcome,
    State,
)
from postroom.settings import Account, Sender, Settings
from postroom.store.budget import Allowance, Budget
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.ledger import Ledger
from postroom.store.live import Live
from postroom.store.suppression import Suppression
from producers.producer import Producer
from tests.support.interrupted import (
    COMMAND,
    InterruptedStore,
    Interruption,
    Killed,
    ReplyLostError,
    Watch,
)
from tests.support.scripted_ses import ANSWERS, ScriptedSes
from tests.support.worker_harness import quick
from worker import runtime
from worker.sending.retry import store_waits
from worker.sending.suppression_check import SuppressionCheck
from worker.sending.work import CompiledCampaign
from worker.stopping import Stopping

LATER_SECONDS = 500
"""Longer than every lease, grace, rest and hold."""

RUNS, PARTS = 8, 20
CALLS_A_SLICE = 2
SHORTENING_SECONDS = 10.0

POOL = 3
"""SendEmail calls that one process may have in flight: fewer than a batch holds."""

SENDERS = {"news": AccountName("main"), "receipts": AccountName("other")}

HAPPENINGS = (
    *("killed", "reply lost", "refused", "frozen", "paused", "cancelled", "suppressed"),
    *("another works", "redis forgets", "resumed", "killed", "killed", "frozen", "frozen"),
)
SCRIPTS = (
    *("claim_batch", "take_budget", "begin_call", "begin_call", "settle_call", "settle_call"),
    *("claim_batch", "settle_budget", "leave_batch", "end_turn", COMMAND),
)
STEERING = ("pause", "resume", "cancel", "suppress")

STEPS = {
    "submit": 4,
    "send": 2,
    "work": 12,
    "pause": 1,
    "resume": 1,
    "cancel": 1,
    "suppress": 1,
    "much_time_passes": 2,
    "sweep": 2,
    "the_queue_is_lost": 1,
    "redis_writes_to_disk": 1,
    "redis_forgets": 1,
}
"""What a run is made of, and how often."""

Step = tuple[str, dict[str, Any]]


def plan(seed: int) -> list[Step]:
    """Return what happens in one run; the same seed makes the same run."""
    lot = random.Random(seed)
    names = lot.choices(list(STEPS), weights=list(STEPS.values()), k=lot.randint(10, 40))
    return [("submit", _drawn("submit", lot)), *((name, _drawn(name, lot)) for name in names)]


def _drawn(name: str, lot: random.Random) -> dict[str, Any]:
    if name == "submit":
        return {
            "people": [lot.randint(0, 19) for _ in range(lot.randint(1, 20))],
            "size": lot.randint(1, 7),
            "sender": lot.choice(sorted(SENDERS)),
            "policy": lot.choice(list(OnAmbiguous)),
            "key": lot.choice([None, None, "k1", "k2"]),
            "rendered": lot.random() < 0.3,
        }
    if name == "send":
        return {
            "person": lot.randint(0, 9),
            "sender": lot.choice(sorted(SENDERS)),
            "policy": lot.choice(list(OnAmbiguous)),
        }
    if name == "work":
        return {
            "which": lot.randint(0, 1),
            "pick": lot.randint(0, 50),
            "again": lot.random() < 0.3,
            "happenings": [_interruption(lot) for _ in range(lot.choice([0, 1, 1, 2, 2, 3]))],
            "answers": lot.choices(["accepted", *ANSWERS], k=lot.randint(0, 6)),
        }
    return {"pick": lot.randint(0, 9)} if name in STEERING else {}


def _interruption(lot: random.Random) -> tuple[str, int, bool, str, int]:
    script = lot.choice(SCRIPTS)
    times = lot.choice([1, 1, 2]) if script in ("begin_call", "settle_call") else 1
    return script, times, lot.random() < 0.5, lot.choice(HAPPENINGS), lot.randint(0, 9)


class Broker:
    """Messages about batches, in no order: one may come twice, late or never."""

    def __init__(self) -> None:
        self.messages: list[BatchRef] = []

    def batches(self, refs: Sequence[BatchRef], lane: Lane, name: str = "") -> None:
        self.messages += refs

    def split(self, campaign_id: CampaignId, name: str = "") -> None:
        """The model splits whatever is not split."""

    def close(self) -> None:
        pass


@dataclass
class Handed:
    """One campaign or message as its submitter knows it."""

    id: CampaignId
    policy: OnAmbiguous
    people: Counter[str]
    key: str | None
    stopped: bool = False
    """`pause` or `cancel` has returned, and no `resume` since."""
    gone: bool = False
    """Redis has forgotten it."""


@dataclass
class Snapshot:
    """What Redis will remember when it forgets the rest."""

    records: dict[bytes, tuple[int, bytes]]
    accepted: Counter[Any]
    stopped: set[CampaignId]
    handed: dict[CampaignId, Counter[str]]
    """And who each of them goes to: a segment of messages grows."""
    suppressed: set[str]


@dataclass
class Process:
    """One worker process as `worker.runtime` builds it."""

    worker: runtime.Worker
    watch: Watch
    stopping: Stopping
    late: float = 0.0
    """For how long this process stood still, as a clock tells that goes on meanwhile."""
    looks: int = 0
    asked_with: frozenset[str] = frozenset()
    """Who was on the suppression list when the last call asked for its budget."""

    def boottime(self) -> float:
        return clock.boottime() + self.late

    def ticks(self) -> float:
        """Later by one at each look: a slice has so many calls, a look at a list is never fresh."""
        self.looks += 1
        return float(self.looks)


class Engine:
    """All of Postroom between `submit` and SES, and everything that may happen to it."""

    def __init__(self, store: Store, settings: Settings, mode: str) -> None:
        store.client.flushdb()
        self.store, self.mode = store, mode
        self.settings = _settings(settings)
        self.ses, self.broker = ScriptedSes(), Broker()
        self.ses.at_call = self._a_call_arrives
        self.client = Postroom(settings=self.settings)
        self.producer = Producer(self.settings, store, Event())
        self.budget, self.line = Budget(store), Dispatch(store, self.settings)
        self.steering = Campaigns(store, self.settings.store)
        self.janitor = Janitor(
            live=Live(store),
            steering=self.steering,
            books=Ledger.from_settings(store, self.settings),
            line=self.line,
            publisher=self.broker,
        )
        self.handed: dict[CampaignId, Handed] = {}
        self.suppressed: set[str] = set()
        self.excused: Counter[Any] = Counter()
        """How often SES may have more than one mail of somebody, for Redis forgot the first."""
        self.forgotten = 0
        self.snapshot: Snapshot | None = None
        self.at_work: list[str] = []
        """Names of the processes that are at work now, one within the other."""
        self.in_hand = BatchRef(campaign_id=CampaignId(""), number=0)
        """What the worker has that began last."""
        self.begun, self.forgot_meanwhile = 0, False
        self.left: Counter[CampaignId] = Counter()
        """Recipients that dead workers had left `sending` when work began."""
        self.faults: list[str] = []
        self.processes = [self._process("a"), self._process("b")]
        self._allow()
        self.tick()

    # Services hand things in.

    def submit(
        self,
        people: list[int],
        size: int,
        sender: str,
        policy: OnAmbiguous,
        key: str | None,
        *,
        rendered: bool,
    ) -> None:
        text = "{% if name %}Dear {{ name }}{% endif %}" if rendered else "Dear {{ name }}"
        campaign = Campaign(
            name="a", sender=sender, subject="Hi", text=text, batch_size=size, on_ambiguous=policy,
            defaults={"name": "reader"},
        )  # fmt: skip
        addresses = [f"user{one}@example.org" for one in people]
        with_key = next((one for one in self._present() if key and one.key == key), None)
        told = self.client.submit(campaign, addresses, key=key)
        if with_key is not None:
            assert told.id == with_key.id
            assert not told.created
            return
        assert told.created
        self.handed[told.id] = Handed(told.id, policy, Counter(set(addresses)), key)
        self.split()

    def send(self, person: int, sender: str, policy: OnAmbiguous) -> None:
        message = Message(subject="Reset", text="Hello", on_ambiguous=policy)
        address = f"user{person}@example.org"
        told = self.client.send(sender, message, address)
        place = place_of(told.id)
        assert isinstance(place, Place)
        own = self.handed.get(place.segment)
        if own is None or own.gone:
            own = self.handed[place.segment] = Handed(place.segment, policy, Counter(), None)
        own.people[address] += 1

    # What producers, dispatcher and janitor do.

    def split(self) -> None:
        for one in self._present():
            self.producer.split(one.id)
            self._wake(one.id)

    def tick(self) -> None:
        for process in self.processes:
            slots = {Lane.BULK: 3, Lane.TRANSACTIONAL: 4}
            self.line.announce(process.worker.name, slots)
        while self.line.wake_sleepers()[0]:
            pass
        release(self.line, self.broker)

    def sweep(self) -> None:
        self.janitor.sweep(now=self.store.seconds())

    # What workers do, and what happens to them meanwhile.

    def work(
        self,
        which: int,
        pick: int,
        happenings: list[Any],
        answers: list[str],
        *,
        again: bool,
    ) -> None:
        """A worker is given a message, which may come to it or another once more."""
        self.tick()
        if not self.broker.messages:
            return
        ref = self.broker.messages[pick % len(self.broker.messages)]
        if not again:
            self.broker.messages.remove(ref)
        self.ses.answers.clear()
        self.ses.answers.extend(answers)
        self._work(which, ref, happenings)

    def the_queue_is_lost(self) -> None:
        self.broker.messages.clear()

    # What people and time do.

    def pause(self, pick: int) -> None:
        self._steer(pick, "pause")

    def resume(self, pick: int) -> None:
        self._steer(pick, "resume")

    def cancel(self, pick: int) -> None:
        self._steer(pick, "cancel")

    def suppress(self, pick: int) -> None:
        address = f"user{pick}@example.org"
        self.client.suppress(address, "asked us to")
        self.suppressed.add(address)

    def much_time_passes(self) -> None:
        """Every lease lapses, every grace, rest and hold is over."""
        client, keys = self.store.client, self.store.keys
        for one in self._present():
            own = keys.campaign(one.id)
            for number, record in client.hgetall(own.leases).items():
                fence, till, rest = record.decode().split("|", 2)
                if till:
                    earlier = float(till) - LATER_SECONDS
                    client.hset(own.leases, number, f"{fence}|{earlier:.3f}|{rest}")
            self._earlier(own.due)
        for name in ("out:bulk", "out:transactional", "asleep", "held"):
            self._earlier(keys.dispatch(name))
        for hold in client.scan_iter(f"{keys.prefix}*hold"):
            client.delete(hold)

    def redis_writes_to_disk(self) -> None:
        client = self.store.client
        records = {
            name: (max(0, client.pttl(name)), client.dump(name)) for name in client.scan_iter()
        }
        self.snapshot = Snapshot(
            records=records,
            accepted=Counter(self.ses.accepted),
            stopped={one.id for one in self.handed.values() if one.stopped},
            handed={one.id: Counter(one.people) for one in self._present()},
            suppressed=set(self.suppressed),
        )

    def redis_forgets(self) -> None:
        """Redis comes back as it was when it last wrote to disk."""
        if self.snapshot is None:
            return
        self.forgot_meanwhile = True
        client, kept = self.store.client, self.snapshot
        client.flushdb()
        for name, (ttl, record) in kept.records.items():
            client.restore(name, ttl, record)
        since = self.ses.accepted - kept.accepted
        self.excused += since
        self.forgotten += sum(since.values())
        for one in self.handed.values():
            one.gone = one.gone or one.id not in kept.handed
            one.stopped = one.id in kept.stopped
            one.people = Counter(kept.handed.get(one.id, one.people))
        self.suppressed = set(kept.suppressed)

    # The laws.

    def check(self) -> None:
        assert not self.faults, self.faults
        self.the_books_balance()
        self.nobody_is_mailed_twice_under_skip()
        self.what_the_ledger_says_is_true()
        self.nothing_is_counted_short()

    def the_books_balance(self) -> None:
        for one in self._present():
            totals = self.client.status(one.id).totals
            assert totals.balanced, totals
            written = Counter(wire.outcome_of(code).value for code in self._ledger(one.id))
            assert {name.value: getattr(totals, name) for name in Outcome} == {
                name.value: written[name.value] for name in Outcome
            }

    def nobody_is_mailed_twice_under_skip(self) -> None:
        for place, count in self.ses.accepted.items():
            one = self.handed[place[0]]
            if one.policy is OnAmbiguous.SKIP:
                assert count <= 1 + self.excused[place], place

    def what_the_ledger_says_is_true(self) -> None:
        for one in self._present():
            size = self._batch_size(one.id)
            for at, code in enumerate(self._ledger(one.id)):
                number, index = (at, 0) if is_segment(one.id) else divmod(at, size)
                mails = self.ses.accepted[one.id, number, index]
                assert code != ord("a") or mails >= 1
                if one.policy is OnAmbiguous.SKIP and not self.excused[one.id, number, index]:
                    assert code not in b"pxce" or mails == 0

    def nothing_is_counted_short(self) -> None:
        used = sum(self.budget.status(account).used for account in SENDERS.values())
        assert used + self.forgotten >= sum(self.ses.accepted.values())

    def end(self) -> None:
        """Faults end: all comes to its end by itself, but for what a person stopped."""
        self.ses.answers.clear()
        for process in self.processes:
            process.watch.meet([])
        for one in self._present():
            self._try_steer(one, "resume")
        for _ in range(30):
            self.much_time_passes()
            self.split()
            self.sweep()
            self.tick()
            while self.broker.messages:
                self._work(0, self.broker.messages.pop(), [])
            if all(self._over(one) for one in self._present()):
                break
        for one in self._present():
            status = self.client.status(one.id)
            assert self._over(one), status
            assert status.totals.total == one.people.total()
            if one.policy is OnAmbiguous.RESEND:
                assert status.totals.ambiguous == 0

    def close(self) -> None:
        for process in self.processes:
            process.stopping.ask()
            process.worker.store.close()
        self.client.close()

    # Hands.

    def _work(self, which: int, ref: BatchRef, happenings: list[Any]) -> None:
        """A worker takes a message and does what follows, until it is done or killed."""
        process = self.processes[which]
        process.watch.meet(
            [
                Interruption(script, times, after, self._happening(kind, pick, process))
                for script, times, after, kind, pick in happenings
            ]
        )
        if not self.at_work:
            self.begun, self.forgot_meanwhile = 0, False
            self.left = Counter(
                {one.id: self.client.status(one.id).totals.sending for one in self._present()}
            )
        self.at_work.append(process.worker.name)
        self.in_hand = ref
        self.begun += 1
        try:
            process.worker.send_batch(ref)
        except Killed:
            self.processes[which] = self._process(process.worker.name.split(":")[0])
        finally:
            self.at_work.pop()
            process.watch.meet([])

    def _happening(self, kind: str, pick: int, process: Process) -> Callable[[], None]:
        def happen() -> None:
            getattr(self, f"_{kind.replace(' ', '_')}")(process, pick)

        return happen

    def _killed(self, process: Process, pick: int) -> None:
        process.watch.dead = True
        raise Killed

    def _reply_lost(self, process: Process, pick: int) -> None:
        raise ReplyLostError("the reply was lost")

    def _refused(self, process: Process, pick: int) -> None:
        raise StoreUnavailableError("Redis will not do it now")

    def _frozen(self, process: Process, pick: int) -> None:
        """The process stands still for longer than its lease, and others may not know."""
        process.late += LATER_SECONDS
        self.much_time_passes()
        if pick % 2:
            self._another_works(process, pick)

    def _paused(self, process: Process, pick: int) -> None:
        self._steer(pick, "pause")

    def _resumed(self, process: Process, pick: int) -> None:
        self._steer(pick, "resume")

    def _cancelled(self, process: Process, pick: int) -> None:
        self._steer(pick, "cancel")

    def _suppressed(self, process: Process, pick: int) -> None:
        self.suppress(pick)

    def _another_works(self, process: Process, pick: int) -> None:
        """The other worker takes what there is, or the same once more; it may die in a call."""
        if len(self.at_work) >= 2:
            return
        self.tick()
        others = self.broker.messages if pick % 4 == 0 else []
        ref = others.pop(pick % len(others)) if others else self.in_hand
        dies = ("settle_call", 1, pick % 3 == 0, "killed", 0)
        self._work(1 - self.processes.index(process), ref, [dies] if pick > 4 else [])

    def _redis_forgets(self, process: Process, pick: int) -> None:
        self.redis_forgets()

    def _seen(self, process: Process, script: str, keys: Any, answer: Any) -> None:
        """A worker's script has run: no call begins once `pause` or `cancel` has returned."""
        if script == "take_budget":
            process.asked_with = frozenset(self.suppressed)
        if script == "begin_call" and answer == b"BEGUN":
            names = self.store.keys
            one = next(
                one for one in self.handed.values() if names.campaign(one.id).campaign == keys[0]
            )
            if one.stopped:
                self.faults.append(f"{one.id} began a call though it was stopped")

    def _a_call_arrives(self, campaign_id: CampaignId, addresses: Sequence[str]) -> None:
        if not self.asked_with().isdisjoint(addresses):
            self.faults.append(f"{campaign_id}: mail to somebody who was suppressed before")
        key = self.store.keys.campaign(campaign_id).campaign
        sending = int(self.store.client.hget(key, "sending") or 0)
        most = self.left[campaign_id] + POOL * self.begun
        if self.mode == "single" and sending > most and not self.forgot_meanwhile:
            self.faults.append(f"{campaign_id}: {sending} are sending, {POOL} can be in flight")
        self._check_room()

    def asked_with(self) -> frozenset[str]:
        name = self.at_work[-1]
        return next(one.asked_with for one in self.processes if one.worker.name == name)

    def _check_room(self) -> None:
        """What is out is never less than what is held: else more is released than fits."""
        if self.forgot_meanwhile:
            return
        now, client = self.store.seconds(), self.store.client
        for one in self._present():
            info = self.steering.info(one.id)
            out = client.zrange(self.store.keys.dispatch(f"out:{info.lane}"), 0, -1)
            own = f"{info.account}|{info.lane}|{one.id}|".encode()
            counted = sum(member.startswith(own) for member in out)
            leases = client.hvals(self.store.keys.campaign(one.id).leases)
            held = 0
            for record in leases:
                _, till, owner = record.decode().split("|")[:3]
                held += owner.rpartition(":")[0] in self.at_work and float(till or 0) > now
            if held > counted:
                self.faults.append(f"{held} batches of {one.id} are held and {counted} out")
            self._check_counters(info.lane, out)

    def _check_counters(self, lane: Lane, out: Sequence[bytes]) -> None:
        """What is counted of each account and mailing is what is out."""
        counted = self.store.client.hgetall(self.store.keys.dispatch(f"going:{lane}"))
        real: Counter[bytes] = Counter()
        for member in out:
            account, _, campaign_id, _ = member.split(b"|")
            real.update([account + b"|" + lane.encode(), campaign_id])
        if {name: int(number) for name, number in counted.items()} != dict(real):
            self.faults.append(f"counted as out: {counted}, out: {dict(real)}")

    def _steer(self, pick: int, action: str) -> None:
        present = self._present()
        if present:
            self._try_steer(present[pick % len(present)], action)

    def _try_steer(self, one: Handed, action: str) -> None:
        try:
            if action == "resume":
                one.stopped = False
            getattr(self.client, action)(one.id)
            one.stopped = action != "resume"
        except RefusedError:
            pass

    def _wake(self, campaign_id: CampaignId) -> None:
        if route := self.steering.info(campaign_id).route(campaign_id):
            self.line.wake(route)

    def _earlier(self, key: str) -> None:
        for member, score in self.store.client.zrange(key, 0, -1, withscores=True):
            self.store.client.zadd(key, {member: max(0.0, score - LATER_SECONDS)})

    def _present(self) -> list[Handed]:
        return [one for one in self.handed.values() if not one.gone]

    def _over(self, one: Handed) -> bool:
        status = self.client.status(one.id)
        still_open = status.totals.pending + status.totals.sending
        return status.state in (State.FINISHED, State.CANCELLED) and not still_open

    def _ledger(self, campaign_id: CampaignId) -> bytes:
        return self.store.client.get(self.store.keys.campaign(campaign_id).ledger) or b""

    def _batch_size(self, campaign_id: CampaignId) -> int:
        return self.steering.info(campaign_id).batch_size

    def _allow(self) -> None:
        for account in SENDERS.values():
            self.budget.observe(
                account,
                Allowance(
                    rate=1e9,
                    quota=1e9,
                    sent=-1.0,
                    window_seconds=86_400.0,
                    cells=288,
                    burst_seconds=0.25,
                    increase_per_second=0.05,
                    requests_per_second=0.0,
                    refresh_seconds=30.0,
                ),
            )
            budget = self.store.keys.account(account).budget
            self.store.client.hset(budget, "tokens", 1e9)

    def _process(self, name: str) -> Process:
        watch = Watch(lambda *told: self._seen(process, *told))
        stopping = Stopping(clock.monotonic, grace_seconds=1.0)
        store = InterruptedStore(self.settings.redis, watch)
        built = runtime.build(self.settings, stopping=stopping, store=store)
        process = Process(built, watch, stopping)
        cached = built.cache

        def compiled(campaign_id: CampaignId) -> CompiledCampaign:
            made = cached(campaign_id)
            delivery = dataclasses.replace(made.delivery, carrier=self.ses, mode=self.mode)
            return dataclasses.replace(made, delivery=delivery)

        suppression = SuppressionCheck(
            Suppression(store), store_waits(stopping.sleep, stopping.asked), process.ticks
        )
        caller = dataclasses.replace(
            built.sender.caller, clock=process.boottime, suppression=suppression
        )
        sender = dataclasses.replace(
            built.sender,
            cache=compiled,
            caller=caller,
            clock=process.ticks,
            slice_seconds=CALLS_A_SLICE + 0.5,
        )
        process.worker = dataclasses.replace(
            built,
            name=f"{name}:{id(process)}",
            sender=sender,
            cache=compiled,
            publisher=self.broker,
        )
        return process


def _settings(settings: Settings) -> Settings:
    worker = {
        "bulk_call_size": 4,
        "single_calls": POOL,
        "slots": 4,
        "max_wait_seconds": 0.2,
        "slice_seconds": 0.0,
    }
    own = quick(settings, **worker)
    retry = msgspec.structs.replace(own.retry, max_crashes=1000, max_parks=1000)
    accounts = {name: Account(region="eu-west-1") for name in SENDERS.values()}
    senders = {
        name: Sender(account=account, from_=f"Shop <{name}@shop.example.com>")
        for name, account in SENDERS.items()
    }
    return msgspec.structs.replace(own, retry=retry, accounts=accounts, senders=senders)


def _broken(store: Store, settings: Settings, mode: str, steps: Sequence[Step]) -> str:
    """Run a plan; return the law that it breaks, or nothing."""
    engine = Engine(store, settings, mode)
    try:
        for name, given in steps:
            getattr(engine, name)(**given)
            engine.check()
        engine.end()
    except Exception:  # noqa: BLE001 - whatever it is, the plan is shortened and shown
        return traceback.format_exc(limit=-4)
    finally:
        engine.close()
    return ""


def _shorter(breaks: Callable[[Sequence[Step]], str], steps: list[Step]) -> list[Step]:
    """Leave out steps for as long as it still breaks: what is left is what matters."""
    until = clock.monotonic() + SHORTENING_SECONDS
    for at in reversed(range(len(steps))):
        without = [*steps[:at], *steps[at + 1 :]]
        if clock.monotonic() < until and breaks(without):
            steps = without
    return steps


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))]
)
@pytest.mark.parametrize("mode", ["bulk", "single", "auto"])
def test_the_laws_hold_whatever_happens_at_any_step(
    store: Store, settings: Settings, mode: str, part: int
) -> None:
    for seed in range(part * RUNS, (part + 1) * RUNS):
        steps = plan(seed)
        if law := _broken(store, settings, mode, steps):
            short = _shorter(partial(_broken, store, settings, mode), steps)
            told = "\n".join(f"{name} {given}" for name, given in short)
            pytest.fail(f"seed {seed}:\n{told}\n{law}")
