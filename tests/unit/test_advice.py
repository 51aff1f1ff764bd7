"""What a campaign's author should look at, and what is nobody's business."""

from typing import Any

import pytest

from postroom.content.advice import advice_on
from postroom.model import Campaign, Lane


def told(**parts: Any) -> dict[str, str]:
    usual = {"name": "a", "sender": "news", "subject": "S", "text": "T"}
    unsubscribe = {"unsubscribe_url": "https://x.example/{{ email }}"}
    return dict(advice_on(Campaign(**{**usual, **unsubscribe, **parts})))


@pytest.mark.parametrize(
    "tag",
    [
        *("*|FNAME|*", "*|MC:SUBJECT|*", "%first_name%", "%FNAME%", "%%first_name%%", "[[name]]"),
        *("[[ name ]]", "{$name}", "${name}", "<<name>>"),
    ],
)
def test_a_merge_tag_of_another_system_is_told_with_its_line(tag: str) -> None:
    said = told(html=f"<p>\nHello {tag},")["merge tags"]
    assert said.startswith(f"html, line 2: {tag} is another system's tag")
    assert "here it is {{ " in said


@pytest.mark.parametrize(
    "text",
    [
        *("{{ name }}", "50% off, 20% more", "https://x.example/%20a%C3%A9%Ab%20", "a[0][1]"),
        *("width: 50%;height:20%", "* | x | *", "[[1, 2]]", "${ 7 }", "a << b >> c"),
    ],
)
def test_what_only_looks_like_one_is_not(text: str) -> None:
    assert told(text=text) == {}


def test_bulk_without_a_way_to_unsubscribe_and_html_without_text() -> None:
    assert set(told(unsubscribe_url=None)) == {"unsubscribe"}
    assert told(unsubscribe_url=None, lane=Lane.TRANSACTIONAL) == {}
    assert told(unsubscribe_url=None, headers={"list-unsubscribe": "<https://x.example>"}) == {}
    assert set(told(html="<p>H</p>", text=None)) == {"text"}
