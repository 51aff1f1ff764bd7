"""`doctor`: what went wrong is shown, and put right."""

from postroom.client import Postroom
from postroom.model import Lane, SenderName, State
from postroom.store.dispatch import SES_FAILS
from postroom.store.presence import Trouble
from tests.support.campaigns import ACCOUNT
from tests.support.worker_harness import WorkerHarness


class TestDoctor:
    def test_finds_nothing_where_all_is_well(self, post: WorkerHarness, client: Postroom) -> None:
        made = post.make(2)
        post.dispatch.announce("w", {Lane.BULK: 1, Lane.TRANSACTIONAL: 1})
        post.dispatch.wake(made.route)
        assert client.examine() == []

    def test_tells_of_work_without_workers(self, post: WorkerHarness, client: Postroom) -> None:
        post.dispatch.wake(post.make(2).route)
        assert "no worker" in " ".join(one.what for one in client.examine())

    def test_tells_what_halts_an_account_and_what_to_type(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        made = post.make(2)
        post.dispatch.announce("w", {Lane.BULK: 1, Lane.TRANSACTIONAL: 1})
        for one in (made, *(post.make(1) for _ in range(5))):
            post.dispatch.wake(one.route)
        post.budget.halt(made.route.account, "the credentials were revoked")
        [complaint] = client.examine()
        assert (complaint.where, complaint.command) == (
            "account main",
            "postroom account resume main",
        )
        assert "revoked" in complaint.what

    def test_tells_of_a_halted_account_before_anything_waits_for_it(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        post.budget.halt(ACCOUNT, "it has no GetAccount")
        assert [one.where for one in client.examine()] == ["account main"]

    def test_tells_of_an_account_that_rests_because_ses_fails(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        reason = f"{SES_FAILS}: SES cannot be reached"
        post.dispatch.hold(ACCOUNT, Lane.BULK, seconds=60, reason=reason)
        [complaint] = client.examine()
        assert "cannot be reached" in complaint.what

    def test_tells_whether_a_worker_leaves_an_account_or_one_sender_to_others(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        news = SenderName("news")
        troubles = [
            Trouble(worker="here:1", account=ACCOUNT, sender=sender, reason="why", seconds=7.0)
            for sender in (None, news)
        ]
        post.dispatch.announce("here:1", {Lane.BULK: 1}, accounts=[ACCOUNT], troubles=troubles)
        assert [one.what for one in client.examine()] == [
            "why; for 7 s it leaves account main to others",
            "why; for 7 s it leaves sender news to others",
        ]

    def test_a_spent_quota_is_nothing_wrong(self, post: WorkerHarness, client: Postroom) -> None:
        made = post.make(2)
        post.dispatch.announce("w", {Lane.BULK: 1, Lane.TRANSACTIONAL: 1})
        post.dispatch.wake(made.route)
        post.dispatch.hold(made.route.account, Lane.BULK, seconds=60, reason="quota spent")
        assert client.examine() == []

    def test_finds_and_repairs_a_campaign_that_fell_out_of_line(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        made = post.make(2)
        post.dispatch.announce("w", {Lane.BULK: 1, Lane.TRANSACTIONAL: 1})
        assert any("not in line" in one.what for one in client.examine())
        assert [one.what for one in client.repair()] == ["it is not in line for its turn"]
        assert client.examine() == []
        assert post.dispatch.route(made.id) == made.route

    def test_examining_changes_nothing(self, post: WorkerHarness, client: Postroom) -> None:
        made = post.make(2)
        client.examine()
        assert post.dispatch.route(made.id) is None

    def test_repairs_a_campaign_that_was_cancelled_half_way(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        made = post.make(4)
        made.set(steer="cancelled")
        assert client.repair()
        assert made.check_books().cancelled == 4
        assert client.status(made.id).state is State.CANCELLED
