"""What campaigns are bound to, and whose word on a sender goes before whose: on real Redis."""

import msgspec
import pytest

from postroom.errors import RefusedError
from postroom.meaning import Meaning, difference, mark_of_all, meanings
from postroom.model import AccountName, SenderName
from postroom.settings import Settings
from postroom.store import presence
from postroom.store.bindings import Bindings
from postroom.store.connection import Store
from postroom.store.presence import About
from postroom.store.sender_registry import Rank, SenderRegistry
from postroom.store.split import Splits
from tests.support import campaigns

NEWS = SenderName("news")
SHOP = Meaning(account="main", region="eu-west-1", from_="Shop <news@shop.example.com>")
OTHER = msgspec.structs.replace(SHOP, from_="STAGING <staging@shop.example.com>")


class TestMeaning:
    def test_two_have_one_mark_only_when_all_of_it_is_the_same(self) -> None:
        changed = [
            msgspec.structs.replace(SHOP, **{name: value})
            for name, value in {
                "account": "other",
                "region": "us-east-1",
                "from_": "a@shop.example.com",
                "reply_to": ("b@shop.example.com",),
                "configuration_set": "set",
                "identity_arn": "arn",
            }.items()
        ]
        assert len({one.mark for one in (SHOP, *changed)}) == 7
        assert mark_of_all({NEWS: SHOP}) == mark_of_all({NEWS: msgspec.structs.replace(SHOP)})

    def test_of_another_aws_account_does_not_fit_where_both_are_known(self) -> None:
        one, two = (msgspec.structs.replace(SHOP, aws=number) for number in ("1" * 12, "2" * 12))
        assert one.fits(one.bound)
        assert not two.fits(one.bound)
        assert SHOP.fits(one.bound)
        assert two.fits(SHOP.bound)
        assert not OTHER.fits(one.bound)
        assert OTHER.fits("")

    def test_is_told_in_words(self) -> None:
        both = msgspec.structs.replace(OTHER, configuration_set="test")
        assert difference(NEWS, both, SHOP) == (
            "has another From for news: STAGING <staging@shop.example.com> instead of "
            "Shop <news@shop.example.com>; configuration set test instead of none"
        )
        assert difference(NEWS, SHOP, SHOP) == ""
        assert difference(NEWS, None, SHOP) == "knows no sender 'news'"

    def test_of_settings_has_the_region_of_the_account(self, settings: Settings) -> None:
        assert meanings(settings) == {NEWS: SHOP}


class TestBinding:
    @pytest.fixture
    def bindings(self, store: Store) -> Bindings:
        return Bindings(store)

    def test_is_that_of_the_first_producer_and_no_other(
        self, store: Store, settings: Settings, bindings: Bindings
    ) -> None:
        made = campaigns.make(store, settings, 2, split=False)
        made.set(split_owner="", bound="", account="")
        splits = Splits(store, settings)
        for owner, account, means in (("one", "main", SHOP), ("two", "elsewhere", OTHER)):
            splits.claim(made.id, owner=owner, account=AccountName(account), means=means)
            made.set(split_until="0")
        bound = bindings.bound(made.id)
        assert (bound.account, bound.mark, bound.meaning) == ("main", SHOP.mark, SHOP)

    def test_goes_with_the_claim_of_a_batch(self, store: Store, settings: Settings) -> None:
        made = campaigns.make(store, settings, 2)
        ledger = campaigns.ledger(store)
        assert ledger.claim(made.ref(), owner="me").bound == ""
        made.set(bound=SHOP.bound)
        assert ledger.claim(made.ref(), owner="me").bound == SHOP.bound

    def test_is_changed_once_and_by_one(
        self, store: Store, settings: Settings, bindings: Bindings
    ) -> None:
        made = campaigns.make(store, settings, 2)
        bindings.rebind(made.id, was="", new=SHOP)
        bindings.rebind(made.id, was="", new=SHOP)
        with pytest.raises(RefusedError, match="somebody else"):
            bindings.rebind(made.id, was="", new=OTHER)
        bindings.rebind(made.id, was=SHOP.mark, new=OTHER)
        assert bindings.bound(made.id).meaning == OTHER

    @pytest.mark.parametrize("over", [{"finished_at": "1"}, {"steer": "cancelled"}])
    def test_of_what_is_over_stays(
        self, store: Store, settings: Settings, bindings: Bindings, over: dict[str, str]
    ) -> None:
        made = campaigns.make(store, settings, 2)
        made.set(**over)
        with pytest.raises(RefusedError, match="it is over"):
            bindings.rebind(made.id, was="", new=SHOP)


class TestWord:
    """What a sender means to the running processes."""

    @pytest.fixture
    def registry(self, store: Store) -> SenderRegistry:
        return SenderRegistry(store)

    @pytest.mark.parametrize(
        ("first", "then", "stands"),
        [
            (Rank.WORKER, Rank.WORKER, SHOP),
            (Rank.WORKER, Rank.PRODUCER, OTHER),
            (Rank.PRODUCER, Rank.WORKER, SHOP),
            (Rank.PRODUCER, Rank.PRODUCER, SHOP),
            (Rank.PRODUCER, Rank.STARTED, OTHER),
            (Rank.STARTED, Rank.PRODUCER, SHOP),
        ],
    )
    def test_of_whom_goes_before_whose(
        self, registry: SenderRegistry, first: Rank, then: Rank, stands: Meaning
    ) -> None:
        registry.announce_meanings({NEWS: SHOP}, first)
        registry.announce_meanings({NEWS: OTHER}, then)
        assert registry.meaning_of(NEWS) == stands

    def test_lapses_with_those_who_gave_it(self, registry: SenderRegistry, store: Store) -> None:
        registry.announce_meanings({NEWS: SHOP}, Rank.STARTED)
        key = store.keys.meanings
        stored = store.client.hget(key, "news").split(b"|", 1)[1]
        store.client.hset(key, "news", b"1.000|" + stored)
        assert registry.meaning_of(NEWS) == SHOP
        registry.announce_meanings({NEWS: OTHER}, Rank.WORKER)
        assert registry.meaning_of(NEWS) == OTHER

    def test_of_a_producer_is_kept_up_by_workers_that_mean_the_same(
        self, registry: SenderRegistry
    ) -> None:
        registry.announce_meanings({NEWS: SHOP}, Rank.PRODUCER)
        registry.announce_meanings({NEWS: SHOP}, Rank.WORKER)
        registry.announce_meanings({NEWS: OTHER}, Rank.WORKER)
        assert registry.meaning_of(NEWS) == SHOP

    def test_in_full_is_found_by_its_mark(self, registry: SenderRegistry) -> None:
        registry.announce_meanings({NEWS: SHOP}, Rank.WORKER)
        mark = mark_of_all({NEWS: SHOP})
        assert registry.settings([mark, "unknown"]) == {mark: {NEWS: SHOP}}


def test_a_producer_is_there_until_it_goes_or_lapses(store: Store) -> None:
    for name in ("one:1", "two:2", "dead:3"):
        presence.announce_producer(store, name, About(slots=2))
    key = store.keys.dispatch("producers")
    told = store.client.hget(key, "dead:3").split(b"|", 1)[1]
    store.client.hset(key, "dead:3", b"1.000|" + told)
    assert [one.name for one in presence.producers(store)] == ["one:1", "two:2"]
    presence.announce_producer(store, "one:1", About(slots=2))
    assert not store.client.hexists(key, "dead:3")
    presence.retire_producer(store, "two:2")
    assert [one.name for one in presence.producers(store)] == ["one:1"]
