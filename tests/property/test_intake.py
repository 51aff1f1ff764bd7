"""Whatever the rows, however they are cut, wherever producers die: the batches partition them."""

import io
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postroom.content.address import NotAnAddressError, normal, sendable
from postroom.errors import BadInputError
from postroom.settings import Settings
from postroom.store.connection import Store
from producers.producer import Producer
from tests.support.client_harness import ClientHarness, campaign

ADDRESSES = st.one_of(
    st.integers(0, 30).map(lambda n: f"person{n}@x.example"),
    st.integers(0, 5).map(lambda n: f"  Person{n}@X.example "),
    st.sampled_from(["", "nobody", "a@b", "é@x.example", "a@bücher.example", '"q q"@x.example']),
    st.text(max_size=12),
)
NAMES = st.text(st.characters(codec="utf-8"), max_size=8)
ROWS = st.lists(st.tuples(ADDRESSES, NAMES), max_size=80)


class Killed(BaseException):
    pass


class Mortal(Store):
    """Dies at its n-th call of a script: before it is made, or after it was."""

    def __init__(self, settings: Settings, at: int, *, after: bool) -> None:
        super().__init__(settings.redis)
        self.left = at
        self.after = after

    def run(self, script: str, *args: Any, **more: Any) -> Any:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        answer = super().run(script, *args, **more)
        if self.left == 0:
            raise Killed
        return answer


def expected(kind: str, rows: list[tuple[str, str]]) -> Counter[str]:
    """Which addresses are to be mailed, by the rules as a person would apply them."""
    found: dict[str, str] = {}
    for address, name in rows:
        if kind == "csv" and "\0" in name:
            continue
        try:
            sent = sendable(address)
        except NotAnAddressError:
            continue
        found.setdefault(normal(sent), sent)
    return Counter(found.values())


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@settings(suppress_health_check=list(HealthCheck))
@given(
    rows=ROWS,
    batch_size=st.integers(1, 20),
    suppressed=st.sets(st.integers(0, 30), max_size=5),
    deaths=st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=4),
)
def test_batches_partition_the_good_recipients(
    harness: ClientHarness,
    kind: str,
    rows: list[tuple[str, str]],
    batch_size: int,
    suppressed: set[int],
    deaths: list[tuple[int, bool]],
) -> None:
    harness.store.client.flushall()
    for number in suppressed:
        harness.post.suppress(f"person{number}@x.example", "bounced")
    sent = expected(kind, rows)
    if kind == "jsonl" and rows and not sent:
        with pytest.raises(BadInputError, match="none of"):
            harness.post.submit(campaign(batch_size=batch_size), **written(kind, rows))
        return
    campaign_id = harness.post.submit(campaign(batch_size=batch_size), **written(kind, rows)).id
    own = harness.store.keys.campaign(campaign_id).campaign
    for at, after in deaths:
        try:
            Producer(
                harness.settings, Mortal(harness.settings, at, after=after), harness.stop
            ).split(campaign_id)
        except Killed:
            harness.checked(campaign_id)
            harness.store.client.hset(own, "split_until", "1")
    totals = harness.split(campaign_id).totals
    assert Counter(harness.emails(campaign_id)) == sent
    assert totals.total == sent.total()
    assert totals.suppressed == sum(normal(one) in marked(suppressed) for one in sent)
    assert totals.invalid + totals.duplicate == counted_rows(kind, rows) - totals.total
    noted = [bad.row for bad in harness.post.bad_rows(campaign_id)]
    assert noted == sorted(noted)
    assert len(noted) == totals.invalid + totals.duplicate


def marked(suppressed: set[int]) -> set[str]:
    return {f"person{number}@x.example" for number in suppressed}


def written(kind: str, rows: list[tuple[str, str]]) -> dict[str, Any]:
    if kind == "jsonl":
        return {"recipients": [{"email": address, "name": name} for address, name in rows]}
    import csv

    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(["email", "name"])
    writer.writerows(rows)
    return {"raw": io.BytesIO(text.getvalue().encode("utf-8", "surrogatepass"))}


def counted_rows(kind: str, rows: list[tuple[str, str]]) -> int:
    """Rows of nothing but blanks are no rows in a table."""
    if kind == "jsonl":
        return len(rows)
    return sum(bool("".join(row).strip()) for row in rows)
