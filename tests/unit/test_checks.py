"""Each fault of a campaign has its own line, which says what and where."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from postroom.content.checks import check
from postroom.errors import BadInputError
from postroom.model import Campaign, SenderName

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
NAIVE = NOON.replace(tzinfo=None)


def campaign(**changes: Any) -> Campaign:
    plain: dict[str, Any] = {
        "name": "spring",
        "sender": SenderName("news"),
        "subject": "Hello",
        "text": "Hello {{ name }}",
    }
    return Campaign(**{**plain, **changes})


def headers(count: int) -> dict[str, str]:
    return {f"X-Mark-{number}": "1" for number in range(count)}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"name": " "}, "name: it is empty"),
        ({"subject": ""}, "subject: it is empty"),
        ({"subject": "a\nBcc: b"}, "subject: it has a line break"),
        ({"subject": "a\rb"}, "subject: it has a line break"),
        ({"text": None}, "html, text: one of the two is needed"),
        ({"sender": "nws"}, "sender: 'nws' is unknown; known: news"),
        ({"lane": "fast"}, "lane: 'fast' is none"),
        ({"on_ambiguous": "maybe"}, "on_ambiguous: 'maybe' is neither"),
        ({"batch_size": 0}, "batch_size: 0 is not from 1 to 500"),
        ({"batch_size": 501}, "batch_size: 501 is not from 1 to 500"),
        ({"weight": 0}, "weight: 0 is not from 0.01 to 1000"),
        ({"weight": 0.009}, "weight: 0.009 is not from"),
        ({"weight": 1000.1}, "weight: 1000.1 is not from"),
        ({"weight": float("nan")}, "weight: nan is not from"),
        ({"send_at": NAIVE}, "send_at: 2027-03-01T12:00:00 has no time zone"),
        ({"not_after": NAIVE}, "not_after: 2027-03-01T12:00:00 has no time zone"),
        (
            {"send_at": NOON, "not_after": NOON - timedelta(seconds=1)},
            "send_at: it is after not_after",
        ),
        ({"headers": {"Bcc": "x"}}, "headers: Bcc: SES refuses this header"),
        ({"headers": {"message-ID": "x"}}, "headers: message-ID: SES refuses this header"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers: x-a: it is given twice"),
        ({"headers": headers(16)}, "headers: 16; SES takes at most 15"),
        ({"headers": {"X A": "1"}}, "headers: 'X A': a name is"),
        ({"headers": {"X:A": "1"}}, "headers: 'X:A': a name is"),
        ({"headers": {"X-A": ""}}, "headers: X-A: the value is empty"),
        ({"headers": {"X-A": "größe"}}, "headers: X-A: the value has characters outside"),
        ({"headers": {"X-A": "a\r\nBcc: b"}}, "headers: X-A: the value has characters outside"),
        ({"headers": {"X-A": "1" * 994}}, "headers: X-A: name and value are longer than 996"),
        ({"tags": {"batch": "1"}}, "tags: batch: Postroom sets this tag itself"),
        ({"tags": {"a b": "1"}}, "tags: a b: the name may have"),
        ({"tags": {"a": "x@y"}}, "tags: a: the value may have"),
        ({"tags": {"a": ""}}, "tags: a: the value may have"),
        ({"tags": {"a": "1" * 257}}, "tags: a: the value may have"),
        ({"text": "x" * (30 * 1024 * 1024)}, "41 MB when encoded; SES takes 40 MB"),
        ({"defaults": {"name": object()}}, "defaults: "),
        ({"text": "a\n{% if %}"}, "text, line 2"),
    ],
)
def test_a_fault_is_refused_in_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(BadInputError) as refused:
        check(campaign(**changes), senders={"news"})
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"text": None, "html": "<p>Hello</p>"},
        {"headers": headers(15)},
        {"headers": {"X-A": "1" * 993}},
        {"tags": {"ses:feedback-id-a": "spring", "kind": "news_2027-03"}},
        {"send_at": NOON, "not_after": NOON},
        {"send_at": NOON.astimezone(timezone(timedelta(hours=2)))},
        {"batch_size": 1},
    ],
)
def test_what_ses_takes_is_taken(changes: dict[str, Any]) -> None:
    check(campaign(**changes), senders={"news"})


def test_our_own_unsubscribe_headers_are_counted_and_may_not_be_given() -> None:
    url = "https://shop.example.com/u/{{ email }}"
    check(campaign(unsubscribe_url=url, headers=headers(13)), senders={"news"})
    with pytest.raises(BadInputError, match="16, with the 2 for unsubscribe_url"):
        check(campaign(unsubscribe_url=url, headers=headers(14)), senders={"news"})
    with pytest.raises(BadInputError, match="unsubscribe_url makes this header"):
        check(campaign(unsubscribe_url=url, headers={"List-Unsubscribe": "<x>"}), senders={"news"})
    check(campaign(headers={"List-Unsubscribe": "<https://a.example>"}), senders={"news"})


def test_without_any_known_sender_it_says_what_to_do() -> None:
    with pytest.raises(BadInputError, match="start a producer"):
        check(campaign(), senders=())
