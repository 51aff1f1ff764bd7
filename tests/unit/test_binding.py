"""Whether this process may send what a campaign is bound to."""

import msgspec
import pytest

from postroom.errors import WorkerUnfitError
from postroom.meaning import Meaning
from postroom.model import AccountName, CampaignId, SenderName
from postroom.store.bindings import Bound
from worker.fitness import Fitness
from worker.sending.binding import Binding

MAIN, NEWS, ONE = AccountName("main"), SenderName("news"), CampaignId("c1")
SHOP = Meaning(account="main", region="eu-west-1", from_="Shop <news@shop.example.com>")
OTHER = msgspec.structs.replace(SHOP, region="us-east-1")


class Records:
    """One campaign, bound to one meaning."""

    def __init__(self, meaning: Meaning) -> None:
        self.meaning = meaning

    def bound(self, campaign_id: CampaignId) -> Bound:
        return Bound(sender=NEWS, account=MAIN, mark=self.meaning.bound, meaning=self.meaning)


def binding(own: Meaning | None, to: Meaning, number: str = "") -> Binding:
    fitness = Fitness(lambda: 0.0, "here:1", [MAIN], there=list, agree_seconds=60.0)
    means = {NEWS: own} if own else {}
    records = Records(to)
    return Binding(means=means, records=records, fitness=fitness, number=lambda _account: number)


def test_what_means_the_same_may_be_sent() -> None:
    binding(SHOP, SHOP).check(ONE, NEWS, SHOP.bound)
    binding(SHOP, SHOP).check(ONE, NEWS, "")


@pytest.mark.parametrize(
    ("own", "words"),
    [(OTHER, "has another Region for news: us-east-1 instead of eu-west-1"), (None, "no sender")],
)
def test_what_means_something_else_is_left_to_others(own: Meaning | None, words: str) -> None:
    one = binding(own, SHOP)
    with pytest.raises(WorkerUnfitError, match=words):
        one.check(ONE, NEWS, SHOP.bound)
    [trouble] = one.fitness.troubles()
    assert trouble.sender == f"news:{SHOP.mark}"
    assert one.fitness.serves(MAIN)  # Its other senders are well.


def test_credentials_of_another_aws_account_are_another_meaning() -> None:
    bound = msgspec.structs.replace(SHOP, aws="111122223333")
    binding(SHOP, bound, number="111122223333").check(ONE, NEWS, bound.bound)
    binding(SHOP, bound, number="").check(ONE, NEWS, bound.bound)
    with pytest.raises(WorkerUnfitError, match="another AWS account"):
        binding(SHOP, bound, number="999988887777").check(ONE, NEWS, bound.bound)
