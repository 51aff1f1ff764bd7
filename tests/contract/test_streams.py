"""Messages appended to the segments of a stream, on real Redis."""

from collections.abc import Iterable
from typing import Any

import pytest

from postroom.ids import Place, TokenPlace, place_of
from postroom.model import (
    AccountName,
    BatchRef,
    CampaignId,
    Lane,
    OnAmbiguous,
    Outcome,
    SenderName,
    Settled,
)
from postroom.settings import Settings
from postroom.store.ledger import Ledger, NotClaimed
from postroom.store.streams import CALL, Stream, Streams, Waiting
from tests.support import campaigns
from tests.support.redis_clock import ClockedStore

STREAM = Stream(
    account=AccountName("main"),
    sender=SenderName("news"),
    lane=Lane.TRANSACTIONAL,
    on_ambiguous=OnAmbiguous.SKIP,
    bound="",
    meaning="",
)
CONTENT, OTHER = "content-one-", "content-two-"
TEXTS = {CONTENT: b"Hello", OTHER: b"Good day"}


def message(token: object, *, mark: str = "", content: str = CONTENT, size: int = 20) -> Waiting:
    return Waiting(
        token=str(token).rjust(12).encode(),
        mark=mark.rjust(6).encode(),
        content=content,
        address=b"01234567",
        entry=b"e" * size + b"\n",
    )


@pytest.fixture
def streams(store: ClockedStore, settings: Settings) -> Streams:
    return Streams(store, settings.store)


@pytest.fixture
def ledger(store: ClockedStore, settings: Settings) -> Ledger:
    return Ledger.from_settings(store, settings)


def append(streams: Streams, messages: Iterable[Waiting]) -> list[CampaignId]:
    return [one.id for one in streams.append(STREAM, list(messages), TEXTS)[0]]


def place(message: CampaignId) -> Place:
    found = place_of(message)
    assert isinstance(found, Place)
    return found


def extents(store: ClockedStore, segment: CampaignId) -> dict[int, int]:
    """Return batch -> its messages."""
    found = store.client.hgetall(store.keys.campaign(segment).extents)
    return {int(n): int(extent.split(b"|")[0]) for n, extent in sorted(found.items())}


def accept(ledger: Ledger, segment: CampaignId, number: int) -> None:
    claim = ledger.claim(BatchRef(campaign_id=segment, number=number), owner="me")
    ledger.begin(claim, claim.open())
    ledger.settle(claim, [Settled(index=at, outcome=Outcome.ACCEPTED) for at in claim.open()])
    ledger.leave(claim)


class TestTokens:
    def test_the_same_token_again_is_the_same_message(self, streams: Streams) -> None:
        [first] = streams.append(STREAM, [message(1)], TEXTS)[0]
        [again] = streams.append(STREAM, [message(1)], TEXTS)[0]
        assert (first.created, again.created, again.id, again.same) == (True, False, first.id, True)

    def test_a_token_of_another_message_is_told(self, streams: Streams) -> None:
        [first] = streams.append(STREAM, [message(1, mark="a")], TEXTS)[0]
        [other] = streams.append(STREAM, [message(1, mark="b")], TEXTS)[0]
        assert (other.created, other.same, other.id) == (False, False, first.id)

    def test_a_token_twice_in_one_call_is_one_message(
        self, streams: Streams, store: ClockedStore
    ) -> None:
        one, two, three = streams.append(
            STREAM, [message(1, mark="a"), message(1, mark="a"), message(1, mark="b")], TEXTS
        )[0]
        assert (one.id, one.created) == (two.id, not two.created)
        assert (three.id, three.same) == (one.id, False)
        assert store.client.strlen(store.keys.campaign(place(one.id).segment).ledger) == 1

    def test_thousands_are_all_found_again(self, streams: Streams) -> None:
        """Beyond the first levels of small hashes."""
        made = [
            one
            for at in range(0, 3_000, 500)
            for one in append(streams, map(message, range(at, at + 500)))
        ]
        assert len(set(made)) == 3_000
        again = [
            one
            for at in range(0, 3_000, 500)
            for one in append(streams, map(message, range(at, at + 500)))
        ]
        assert again == made
        named = [streams.named(STREAM.id, message(at).token) for at in (0, 70, 400, 2_999)]
        assert [one.message for one in named if one] == [made[at] for at in (0, 70, 400, 2_999)]

    def test_is_known_for_its_retention_and_then_forgotten(
        self, streams: Streams, store: ClockedStore, settings: Settings
    ) -> None:
        keep = settings.store.message_retention_seconds
        append(streams, [message(1)])
        for name in store.client.scan_iter("*tokens:*"):
            assert keep < store.client.ttl(name) <= 2 * keep

    def test_leads_to_its_message(self, streams: Streams) -> None:
        [one] = append(streams, [message(1)])
        named = TokenPlace(STREAM.id, message(1).token)
        assert place_of(named.message) == named
        assert streams.find(named) == place(one)
        assert streams.find(TokenPlace(STREAM.id, message(2).token)) is None


class TestBatches:
    def test_fill_by_themselves_while_nobody_has_taken_them(
        self, streams: Streams, store: ClockedStore
    ) -> None:
        ids = [append(streams, [message(number)])[0] for number in range(3)]
        ids += append(streams, map(message, range(3, CALL + 10)))
        segment = place(ids[0]).segment
        assert [place(one).position for one in ids] == list(range(CALL + 10))
        assert extents(store, segment) == {0: CALL, CALL: 10}

    def test_take_no_more_once_they_are_leased(
        self, streams: Streams, store: ClockedStore, ledger: Ledger
    ) -> None:
        segment = place(append(streams, [message(1)])[0]).segment
        claim = ledger.claim(BatchRef(campaign_id=segment, number=0), owner="me")
        append(streams, [message(2), message(3)])
        assert extents(store, segment) == {0: 1, 1: 2}
        assert claim.recipients.count(b"\n") == 1

    def test_only_who_begins_one_must_wake_the_workers(self, streams: Streams) -> None:
        _, first = streams.append(STREAM, [message(1)], TEXTS)
        _, joins = streams.append(STREAM, [message(2)], TEXTS)
        assert first is not None
        assert joins is None

    def test_are_cut_by_bytes_too(self, streams: Streams, store: ClockedStore) -> None:
        ids = append(streams, [message(number, size=100_000) for number in range(5)])
        assert extents(store, place(ids[0]).segment) == {0: 2, 2: 2, 4: 1}

    def test_whoever_is_suppressed_gets_no_mail(
        self, streams: Streams, store: ClockedStore, ledger: Ledger
    ) -> None:
        made, _ = streams.append(STREAM, [message(1), message(2)], TEXTS, suppressed={0})
        segment = place(made[0].id).segment
        claim = ledger.claim(BatchRef(campaign_id=segment, number=0), owner="me")
        assert (claim.states, claim.open()) == (b"xp", [1])


class TestContents:
    def test_are_stored_once_and_go_with_the_last_batch_that_needs_them(
        self, streams: Streams, store: ClockedStore, ledger: Ledger
    ) -> None:
        messages = [message(1), message(2, content=OTHER), *map(message, range(3, CALL + 5))]
        segment = place(append(streams, messages)[0]).segment
        key = store.keys.campaign(segment).contents
        assert store.client.hmget(key, CONTENT, OTHER) == [b"Hello", b"Good day"]
        accept(ledger, segment, 0)
        assert store.client.hmget(key, CONTENT, OTHER) == [b"Hello", None]
        accept(ledger, segment, CALL)
        assert store.client.hgetall(key) == {}

    def test_of_what_is_sent_nothing_stays_but_outcome_moment_and_digest(
        self, streams: Streams, store: ClockedStore, ledger: Ledger
    ) -> None:
        segment = place(append(streams, [message(1), message(2)])[0]).segment
        accept(ledger, segment, 0)
        keys = store.keys.campaign(segment)
        assert not store.client.exists(keys.batches, keys.extents, keys.contents, keys.leases)
        assert store.client.get(keys.ledger) == b"aa"
        marks = store.client.get(keys.marks)
        assert len(marks) == 24
        assert marks[:8] == b"01234567"
        assert int.from_bytes(marks[8:12]) == pytest.approx(store.seconds(), abs=5)
        with pytest.raises(NotClaimed, match="missing"):
            ledger.claim(BatchRef(campaign_id=segment, number=0), owner="me")


class TestSegments:
    def test_the_next_one_is_begun_when_one_is_full(
        self, streams: Streams, store: ClockedStore, ledger: Ledger
    ) -> None:
        ids = [
            one
            for at in range(0, 6_000, 1_000)
            for one in append(streams, map(message, range(at, at + 1_000)))
        ]
        segments = sorted({place(one).segment for one in ids})
        assert len(segments) == 2
        live = store.client.zrange(store.keys.live, 0, -1)
        assert set(segments) <= {one.decode() for one in live}
        totals = [
            int(store.client.hget(store.keys.campaign(one).campaign, "total")) for one in segments
        ]
        assert totals == [5_000, 1_000]

    def test_of_another_policy_or_meaning_is_another(self, streams: Streams) -> None:
        def segment(number: int, **more: Any) -> CampaignId:
            from dataclasses import replace

            [one] = streams.append(replace(STREAM, **more), [message(number)], TEXTS)[0]
            return place(one.id).segment

        made = [
            segment(1),
            segment(2, on_ambiguous=OnAmbiguous.RESEND),
            segment(3, bound="another meaning"),
            segment(4),
        ]
        assert len(set(made)) == 3
        assert made[0] == made[3]

    def test_is_over_once_it_takes_no_more_and_nothing_is_open(
        self, streams: Streams, store: ClockedStore, ledger: Ledger
    ) -> None:
        segment = place(append(streams, [message(1)])[0]).segment
        accept(ledger, segment, 0)
        assert not ledger.finish(segment)
        store.client.hset(store.keys.campaign(segment).campaign, "open", 0)
        assert ledger.finish(segment)
        assert store.client.ttl(store.keys.campaign(segment).ledger) > 0
        [one] = append(streams, [message(2)])
        assert place(one).segment != segment

    def test_a_lapsed_lease_leaves_its_messages_in_doubt(
        self, streams: Streams, store: ClockedStore, ledger: Ledger
    ) -> None:
        segment = place(append(streams, [message(1), message(2)])[0]).segment
        ref = BatchRef(campaign_id=segment, number=0)
        claim = ledger.claim(ref, owner="dead")
        ledger.begin(claim, [0])
        leases = store.keys.campaign(segment).leases
        fence = store.client.hget(leases, "0").decode().split("|")[0]
        store.client.hset(leases, "0", f"{fence}|1.0|dead|0|0")
        assert ledger.claim(ref, owner="next").states == b"up"

    def test_takes_no_more_once_a_batch_of_it_has_killed_its_workers(
        self, streams: Streams, store: ClockedStore
    ) -> None:
        """It is halted for a person; new messages go on in the next one."""
        segment = place(append(streams, [message(1)])[0]).segment
        strict = campaigns.ledger(store, max_crashes=1)
        ref = BatchRef(campaign_id=segment, number=0)
        strict.claim(ref, owner="dead")
        leases = store.keys.campaign(segment).leases
        fence = store.client.hget(leases, "0").decode().split("|")[0]
        store.client.hset(leases, "0", f"{fence}|1.0|dead|0|0")
        with pytest.raises(NotClaimed, match="poison"):
            strict.claim(ref, owner="next")
        strict.halt(segment, "poison")
        [new] = append(streams, [message(2)])
        assert place(new).segment != segment
        assert append(streams, [message(1)]) == [Place(segment, 0).message]
