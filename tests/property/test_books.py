"""The law of the books, whatever crashes, lapses, comes twice or is steered in between.

A model of the workers: each step of a run is a rule of its own, so a run may stop, be overtaken
by another or come back late after any of them. The broker is a bag: a message may come twice,
late, or never. Time passes only when the model says so. Ledger, budget and dispatcher are real,
on a real Redis; SES counts for itself.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from postroom.dispatch.release import release
from postroom.errors import CampaignStoppedError, LeaseLostError, RefusedError
from postroom.health.janitor import Janitor
from postroom.model import BatchRef, CampaignId, Lane, OnAmbiguous, Outcome, Settled
from postroom.settings import Settings
from postroom.store.budget import Allowance, Ask, Budget, Grant
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.ledger import Claim, Ledger, NotClaimed
from postroom.store.live import Live
from tests.support import campaigns
from tests.support.campaigns import ACCOUNT, PreparedCampaign

RECIPIENTS, BATCH = 5, 3
LATER_SECONDS = 200
"""Longer than every lease, grace and rest."""

STOPS = st.sampled_from([0, 1, 2, 3, 20])
"""Steps of a run before it stops: after its claim come begin, SES, settle; begin, SES, ..."""

ANSWERS = st.lists(
    st.sampled_from(["accepted", "accepted", "rejected", "again", "lost", "lost but accepted"]),
    min_size=BATCH,
    max_size=BATCH,
)


@dataclass(eq=False)
class Run:
    """One worker's work on one batch, as far as it has come."""

    claim: Claim
    open: list[int]
    begun: list[int] = field(default_factory=list)
    grant: Grant | None = None
    outcomes: list[Settled] | None = None
    """What SES answered; None before the call."""


class Broker:
    """Messages about batches, in no order."""

    def __init__(self) -> None:
        self.messages: list[BatchRef] = []
        self.splits = 0

    def batches(self, refs: Sequence[BatchRef], lane: Lane, name: str = "") -> None:
        self.messages += refs

    def split(self, campaign_id: CampaignId, name: str = "") -> None:
        self.splits += 1


class Books(RuleBasedStateMachine):
    """One campaign, its workers, and everything that may happen to them."""

    def __init__(self, store: Store, settings: Settings, policy: OnAmbiguous) -> None:
        super().__init__()
        store.client.flushdb()
        self.store, self.policy = store, policy
        self.ledger: Ledger = campaigns.ledger(store, max_crashes=1000)
        self.budget, self.line, self.live = Budget(store), Dispatch(store, settings), Live(store)
        self.steering = Campaigns(store, settings.store)
        self.broker = Broker()
        self.janitor = Janitor(
            live=self.live,
            steering=self.steering,
            books=self.ledger,
            line=self.line,
            publisher=self.broker,
        )
        self.runs: list[Run] = []
        self.owners = 0
        self.ses: Counter[tuple[int, int]] = Counter()
        self.known: set[tuple[int, int]] = set()
        """Who is accepted by the word of a worker that settled it."""
        self.made: PreparedCampaign = campaigns.make(
            store, settings, RECIPIENTS, batch_size=BATCH, on_ambiguous=policy
        )
        self._allow()
        self.line.announce("worker", {Lane.BULK: 3, Lane.TRANSACTIONAL: 3})
        self.line.wake(self.made.route)

    # What dispatcher and broker do.

    @rule()
    def tick(self) -> None:
        self.line.announce("worker", {Lane.BULK: 3, Lane.TRANSACTIONAL: 3})
        while self.line.wake_sleepers()[0]:
            pass
        release(self.line, self.broker)

    @rule()
    def sweep(self) -> None:
        self.janitor.sweep(now=self.store.seconds())

    @precondition(lambda self: self.broker.messages)
    @rule(data=st.data(), again=st.booleans(), stops=STOPS)
    def deliver(self, data: st.DataObject, stops: int, *, again: bool) -> None:
        ref = data.draw(st.sampled_from(self.broker.messages))
        if not again:
            self.broker.messages.remove(ref)
        self._work(ref.number, stops, data)

    @precondition(lambda self: self.broker.messages)
    @rule()
    def the_queue_is_lost(self) -> None:
        self.broker.messages.clear()

    @rule(data=st.data(), number=st.integers(0, 1), stops=STOPS)
    def a_message_from_nowhere(self, data: st.DataObject, number: int, stops: int) -> None:
        self._work(number, stops, data)

    # What a run does that stopped: it goes on, or no rule comes for it any more: it has crashed.

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), steps=st.integers(1, 4))
    def a_run_goes_on(self, data: st.DataObject, steps: int) -> None:
        run = data.draw(st.sampled_from(self.runs))
        for _ in range(steps):
            if run in self.runs:
                self._step(run, data)

    @rule(data=st.data(), number=st.integers(0, 1), stops=STOPS, heir_stops=STOPS)
    def a_worker_taken_for_dead_comes_back(
        self, data: st.DataObject, number: int, stops: int, heir_stops: int
    ) -> None:
        zombie = self._work(number, stops, data)
        self.much_time_passes()
        self._work(number, heir_stops, data)
        for _ in range(data.draw(st.integers(1, 3))):
            if zombie in self.runs:
                self._step(zombie, data)

    @precondition(lambda self: self._begun())
    @rule(data=st.data())
    def a_begin_is_repeated_for_its_reply_was_lost(self, data: st.DataObject) -> None:
        self._begin(data.draw(st.sampled_from(self._begun())))

    # What people and time do.

    @rule(data=st.data(), steps=st.integers(0, 3), stays=st.sampled_from([False, False, True]))
    def pause(self, data: st.DataObject, steps: int, *, stays: bool) -> None:
        self._steer("pause")
        for _ in range(steps):
            if self.runs:
                self._step(data.draw(st.sampled_from(self.runs)), data)
        if not stays:
            self.resume()

    @rule()
    def resume(self) -> None:
        if self._steer("resume"):
            self.line.wake(self.made.route)

    @precondition(lambda self: sum(self.ses.values()) >= BATCH)
    @rule(sure=st.sampled_from([False, False, True]))
    def cancel(self, *, sure: bool) -> None:
        if sure:
            self._steer("cancel")

    @rule()
    def much_time_passes(self) -> None:
        """Every lease lapses, every grace and rest is over; runs that come later are zombies."""
        keys = self.store.keys.campaign(self.made.id)
        client = self.store.client
        for number, record in client.hgetall(keys.leases).items():
            fence, till, rest = record.decode().split("|", 2)
            if till:
                client.hset(
                    keys.leases, number, f"{fence}|{float(till) - LATER_SECONDS:.3f}|{rest}"
                )
        for key in (keys.due, *map(self.store.keys.dispatch, ("out:bulk", "asleep", "held"))):
            for member, score in client.zrange(key, 0, -1, withscores=True):
                client.zadd(key, {member: max(0.0, score - LATER_SECONDS)})

    # The laws.

    @invariant()
    def the_books_balance(self) -> None:
        self.made.check_books()

    @invariant()
    def nothing_is_counted_short(self) -> None:
        """What SES accepted is in our count of the quota."""
        assert self.budget.status(ACCOUNT).used >= sum(self.ses.values())

    @invariant()
    def nobody_is_accepted_twice_under_skip(self) -> None:
        if self.policy is OnAmbiguous.SKIP:
            assert max(self.ses.values(), default=0) <= 1

    @invariant()
    def what_the_ledger_says_is_true(self) -> None:
        for at, code in enumerate(self.made.ledger):
            here = divmod(at, BATCH)
            assert code == ord("a") or here not in self.known
            assert code != ord("a") or self.ses[here] >= 1
            if self.policy is OnAmbiguous.SKIP:
                assert code != ord("p") or self.ses[here] == 0

    def teardown(self) -> None:
        """Faults end: without a person but for the resume, the campaign comes to its end."""
        if self._steer("resume"):
            self.line.wake(self.made.route)
        self.runs.clear()
        for _ in range(20):
            self.much_time_passes()
            self.sweep()
            self.tick()
            while self.broker.messages:
                self._work_off(self.broker.messages.pop().number)
            if self.made.field("finished_at"):
                break
        totals = self.made.check_books()
        assert self.made.field("finished_at"), totals
        assert totals.pending + totals.sending == 0
        assert set(self.live.campaigns()) == set() or self._retired()
        if self.policy is OnAmbiguous.RESEND:
            assert totals.ambiguous == 0
            assert totals.accepted == RECIPIENTS - totals.rejected - totals.cancelled

    # Hands.

    def _allow(self) -> None:
        self.budget.observe(
            ACCOUNT,
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
        self.store.client.hset(self.store.keys.account(ACCOUNT).budget, "tokens", 1e9)

    def _begun(self) -> list[Run]:
        return [run for run in self.runs if run.begun and run.outcomes is None]

    def _work(self, number: int, steps: int, data: st.DataObject) -> Run | None:
        """A worker takes a message, and stops after so many steps, or when it is done."""
        run = self._claim(number)
        for _ in range(steps):
            if run in self.runs:
                self._step(run, data)
        return run

    def _step(self, run: Run | None, data: st.DataObject) -> None:
        assert run is not None
        if run.outcomes is not None:
            self._settle(run, times=data.draw(st.integers(1, 2)))
        elif run.begun:
            self._call_ses(run, data.draw(ANSWERS))
        elif run.open:
            self._take_and_begin(run, data.draw(st.integers(1, BATCH)))
        else:
            self._leave(run)

    def _take_and_begin(self, run: Run, count: int) -> None:
        ask = Ask(
            waiter=str(id(run)),
            wanted=count,
            lane=Lane.BULK,
            bulk_request=True,
            campaign_id=self.made.id,
            weight=1.0,
        )
        grant = self.budget.take(ACCOUNT, ask, max_wait_seconds=1)
        assert isinstance(grant, Grant)
        run.grant, run.begun = grant, run.open[: grant.recipients]
        self._begin(run)

    def _call_ses(self, run: Run, answers: list[str]) -> None:
        number = run.claim.ref.number
        run.outcomes = []
        for index, answer in zip(run.begun, answers, strict=False):
            # Under resend one who was begun by a worker taken for dead may be begun by another.
            assert (number, index) not in self.known or self._is_zombie(run)
            self.ses[number, index] += "accepted" in answer
            run.outcomes.append(self._outcome(index, answer))

    def _settle(self, run: Run, *, times: int) -> None:
        assert run.outcomes is not None
        assert run.grant is not None
        try:
            for _ in range(times):
                self.ledger.settle(run.claim, run.outcomes)
        except LeaseLostError:
            self.runs.remove(run)
            return
        number, done = run.claim.ref.number, run.outcomes
        self.known |= {(number, one.index) for one in done if one.outcome is Outcome.ACCEPTED}
        sure = [one for one in done if one.outcome is not Outcome.ACCEPTED and one.reason != "lost"]
        unsent = run.grant.recipients - len(done)
        self.budget.settle(ACCOUNT, run.grant, counted=len(done) - len(sure), unsent=unsent)
        again = [one.index for one in done if one.outcome is Outcome.PENDING]
        run.open = [index for index in run.open if index not in run.begun] + again
        run.begun, run.grant, run.outcomes = [], None, None

    def _leave(self, run: Run) -> None:
        self.runs.remove(run)
        try:
            self.ledger.leave(run.claim)
        except LeaseLostError:
            return
        self.line.ended(self.made.route, run.claim.ref, sent=0)

    def _is_zombie(self, run: Run) -> bool:
        leases = self.store.keys.campaign(self.made.id).leases
        record = self.store.client.hget(leases, str(run.claim.ref.number)) or b""
        return record.split(b"|")[0] != str(run.claim.fence).encode()

    def _claim(self, number: int) -> Run | None:
        self.owners += 1
        try:
            claim = self.ledger.claim(self.made.ref(number), owner=f"run {self.owners}")
        except NotClaimed as answer:
            if answer.why not in ("busy",):
                self.line.ended(self.made.route, self.made.ref(number), sent=0)
            return None
        run = Run(claim, claim.open())
        self.runs.append(run)
        return run

    def _begin(self, run: Run) -> None:
        assert run.grant is not None
        try:
            self.ledger.begin(run.claim, run.begun)
        except (LeaseLostError, CampaignStoppedError) as stop:
            self.runs.remove(run)
            self.budget.settle(ACCOUNT, run.grant, counted=0, unsent=run.grant.recipients)
            if isinstance(stop, CampaignStoppedError):
                self.ledger.leave(run.claim)
                self.line.ended(self.made.route, run.claim.ref, sent=0)

    def _outcome(self, index: int, answer: str) -> Settled:
        if answer == "accepted":
            return Settled(index=index, outcome=Outcome.ACCEPTED)
        if answer == "rejected":
            return Settled(index=index, outcome=Outcome.REJECTED, reason=f"reason {index}")
        if answer == "again":
            return Settled(index=index, outcome=Outcome.PENDING)
        again = self.policy is OnAmbiguous.RESEND
        outcome = Outcome.PENDING if again else Outcome.AMBIGUOUS
        return Settled(index=index, outcome=outcome, reason="lost")

    def _work_off(self, number: int) -> None:
        """A worker to whom nothing happens."""
        run = self._claim(number)
        if run is None:
            return
        if run.open:
            self.ledger.begin(run.claim, run.open)
            self.ses.update((number, index) for index in run.open)
            done = [Settled(index=index, outcome=Outcome.ACCEPTED) for index in run.open]
            self.ledger.settle(run.claim, done)
        self.runs.remove(run)
        self.ledger.leave(run.claim)
        self.line.ended(self.made.route, run.claim.ref, sent=len(run.open))

    def _steer(self, action: str) -> bool:
        try:
            getattr(self.steering, action)(self.made.id)
        except RefusedError:
            return False
        return True

    def _retired(self) -> bool:
        self.sweep()
        return not self.live.campaigns()


@pytest.mark.parametrize("policy", list(OnAmbiguous))
def test_the_books_balance_whatever_happens(
    store: Store, settings: Settings, policy: OnAmbiguous
) -> None:
    run_state_machine_as_test(
        lambda: Books(store, settings, policy),
        settings=given_settings(stateful_step_count=30, suppress_health_check=list(HealthCheck)),
    )
