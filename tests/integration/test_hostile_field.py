"""One recipient's name, made to be slow, stops nobody: real processes, the local SES."""

import json
from collections.abc import Iterator
from io import BytesIO

import pytest

from postroom import settings
from postroom.client import Postroom
from postroom.localstack.stack import LocalStack, Shape
from postroom.model import Campaign, CampaignId, Recipient, SenderName, State
from tests.support.waiting import wait_until

SUBJECTS = ("Hello {{ name }}", "Hello {% if name %}{{ name }}{% endif %}")
"""Filled in by SES, and rendered here."""


@pytest.fixture(scope="module")
def post() -> Iterator[Postroom]:
    environ = {**settings.environment(), "POSTROOM_WORKER__SLOTS": "4"}
    environ.pop("POSTROOM_REDIS_URL", None)
    with (
        LocalStack(Shape(workers=1, rate=200.0, latency_ms=20.0), environ=environ) as stack,
        Postroom(settings=settings.load(stack.environ)) as client,
    ):
        yield client


def campaign(name: str, subject: str) -> Campaign:
    return Campaign(name=name, sender=SenderName("news"), subject=subject, text="Good morning")


def hostile(size: int) -> bytes:
    row = {"email": f"hostile{size}@example.org", "name": " " * size + "\u200b"}
    return json.dumps(row).encode() + b"\n"


def accepted(post: Postroom, campaign_id: CampaignId) -> int:
    return post.status(campaign_id).totals.accepted


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_name_that_is_made_to_be_slow_stops_no_other_campaign(
    post: Postroom, subject: str
) -> None:
    people = [Recipient(f"person{number}@example.org", {"name": "Ann"}) for number in range(1_000)]
    others = post.submit(campaign("others", "Hello {{ name }}"), people).id
    wait_until(lambda: accepted(post, others) > 0, "the others' mail flows")
    raw = BytesIO(hostile(10_000) + hostile(1_000_000))
    slow = post.submit(campaign("hostile", subject), raw=raw).id
    for campaign_id in (others, slow):
        wait_until(
            lambda campaign_id=campaign_id: post.status(campaign_id).state is State.FINISHED,
            "both are finished",
            seconds=60,
        )
    assert accepted(post, others) == 1_000
    totals = post.status(slow).totals
    assert totals.accepted + totals.rejected == 2
