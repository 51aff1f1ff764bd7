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

from postroom.errors import CampaignStoppedError, LeaseLostError, RefusedError
from postroom.janitor import Janitor
from postroom.model import BatchRef, CampaignId, Lane, OnAmbiguous, Outcome, Settled
from postroom.release import release
from postroom.settings import Settings
from postroom.store.budget import Allowance, Ask, Budget, Grant
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.ledger import Claim, Ledger, NotClaimed
from postroom.store.live import Live
from tests.support import campaigns
from tests.support.campaigns import ACCOUNT, Made

RECIPIENTS, BATCH = 11, 4
LATER_SECONDS = 200
"""Longer than every lease, grace and rest."""


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

    def batches(self, refs: Sequence[BatchRef], lane: Lane) -> None:
        self.messages += refs

    def split(self, campaign_id: CampaignId) -> None:
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
        self.cancelled = False
        self.made: Made = campaigns.make(
            store, settings, RECIPIENTS, batch_size=BATCH, on_ambiguous=policy
        )
        self._allow()
        self.line.announce("worker", {Lane.BULK: 3, Lane.TRANSACTIONAL: 3})
        self.line.wake(self.made.route)

    # What dispatcher and broker do.

    @rule()
    def tick(self) -> None:
        self.line.announce("worker", {Lane.BULK: 3, Lane.TRANSACTIONAL: 3})
        for route in self.line.sleepers():
            self.line.wake(route)
        release(self.line, self.broker)

    @rule()
    def sweep(self) -> None:
        self.janitor.sweep(now=self.store.seconds())

    @precondition(lambda self: self.broker.messages)
    @rule(data=st.data(), again=st.booleans())
    def deliver(self, data: st.DataObject, *, again: bool) -> None:
        ref = data.draw(st.sampled_from(self.broker.messages))
        if not again:
            self.broker.messages.remove(ref)
        self._claim(ref.number)

    @precondition(lambda self: self.broker.messages)
    @rule()
    def the_queue_is_lost(self) -> None:
        self.broker.messages.clear()

    @rule(number=st.integers(0, 3))
    def a_message_from_nowhere(self, number: int) -> None:
        self._claim(number)

    # What one run does, step by step. A run of which no rule comes any more has crashed.

    @precondition(lambda self: self._at("open"))
    @rule(data=st.data(), count=st.integers(1, BATCH))
    def begin(self, data: st.DataObject, count: int) -> None:
        run = data.draw(st.sampled_from(self._at("open")))
        ask = Ask(
            waiter=str(id(run)),
            wanted=count,
            lane=Lane.BULK,
            bulk_request=True,
            campaign_id=CampaignId("c"),
            weight=1.0,
        )
        answer = self.budget.take(ACCOUNT, ask, max_wait_seconds=1)
        assert isinstance(answer, Grant)
        run.grant, run.begun = answer, run.open[: answer.recipients]
        self._begin(run)

    @precondition(lambda self: self._at("begun"))
    @rule(data=st.data())
    def begin_again_for_its_reply_was_lost(self, data: st.DataObject) -> None:
        self._begin(data.draw(st.sampled_from(self._at("begun"))))

    @precondition(lambda self: self._at("begun"))
    @rule(
        data=st.data(),
        answers=st.lists(
            st.sampled_from(["accepted", "rejected", "again", "lost", "lost but accepted"]),
            min_size=BATCH,
            max_size=BATCH,
        ),
    )
    def call_ses(self, data: st.DataObject, answers: list[str]) -> None:
        run = data.draw(st.sampled_from(self._at("begun")))
        number = run.claim.ref.number
        run.outcomes = []
        for index, answer in zip(run.begun, answers, strict=False):
            if "accepted" in answer:
                self.ses[number, index] += 1
            run.outcomes.append(self._outcome(index, answer))

    @precondition(lambda self: self._at("answered"))
    @rule(data=st.data(), times=st.integers(1, 2))
    def settle(self, data: st.DataObject, times: int) -> None:
        run = data.draw(st.sampled_from(self._at("answered")))
        assert run.outcomes is not None
        assert run.grant is not None
        try:
            for _ in range(times):
                self.ledger.settle(run.claim, run.outcomes)
        except LeaseLostError:
            self.runs.remove(run)
            return
        counted = sum(
            one.outcome in (Outcome.ACCEPTED, Outcome.AMBIGUOUS) or one.reason == "lost"
            for one in run.outcomes
        )
        unsent = run.grant.recipients - len(run.begun)
        self.budget.settle(ACCOUNT, run.grant, counted=counted, unsent=unsent)
        again = [one.index for one in run.outcomes if one.outcome is Outcome.PENDING]
        run.open = [index for index in run.open if index not in run.begun] + again
        run.begun, run.grant, run.outcomes = [], None, None

    @precondition(lambda self: self._at("idle"))
    @rule(data=st.data(), seconds=st.sampled_from([0.0, 60.0]), spent=st.booleans())
    def leave(self, data: st.DataObject, seconds: float, *, spent: bool) -> None:
        run = data.draw(st.sampled_from(self._at("idle")))
        self.runs.remove(run)
        try:
            self.ledger.leave(run.claim, wake_seconds=seconds, tries_spent=spent)
        except LeaseLostError:
            return
        self.line.ended(self.made.route, run.claim.ref, sent=0)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        self.runs.remove(data.draw(st.sampled_from(self.runs)))

    # What people and time do.

    @rule()
    def pause(self) -> None:
        self._steer("pause")

    @rule()
    def resume(self) -> None:
        self._steer("resume")
        if not self.cancelled:
            self.line.wake(self.made.route)

    @precondition(lambda self: sum(self.ses.values()) > RECIPIENTS // 2)
    @rule()
    def cancel(self) -> None:
        self.cancelled = self._steer("cancel") or self.cancelled

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
        for key in (keys.due, *map(self.store.keys.dispatch, ("out:bulk", "asleep"))):
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
            left_out = RECIPIENTS - totals.rejected - totals.cancelled
            assert len([one for one, count in self.ses.items() if count]) >= left_out

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

    def _at(self, stage: str) -> list[Run]:
        stages = {
            "open": lambda run: run.open and not run.begun,
            "idle": lambda run: not run.begun,
            "begun": lambda run: run.begun and run.outcomes is None,
            "answered": lambda run: run.outcomes is not None,
        }
        return [run for run in self.runs if stages[stage](run)]

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
            for index in run.open:
                self.ses[number, index] += 1
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
        settings=given_settings(
            max_examples=100,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
