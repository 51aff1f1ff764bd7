"""What it is to lack a field: blank is lacking, unless its author has thought of it."""

from typing import Any

import pytest

from postroom.content import checks
from postroom.content.fields import fields_of, filled
from postroom.errors import BadInputError
from postroom.messages.preparing import campaign_of, whole
from postroom.model import Campaign, Message, Recipient


def campaign(**parts: Any) -> Campaign:
    return Campaign(**{"name": "a", "sender": "news", "subject": "S", "text": "T", **parts})


@pytest.mark.parametrize(
    ("parts", "lacks"),
    [
        ({"text": "{{ name }}"}, True),
        ({"text": "{{ name }}", "defaults": {"name": "you"}}, True),
        ({"text": "{{ name|default('you') }}"}, True),
        ({"unsubscribe_url": "https://x.example/{{ name }}"}, True),
        ({"text": "{{ name }}", "keep_blank": ["name"]}, False),
        ({"text": "{% if name %}Hi {{ name }}{% endif %}"}, False),
        ({"text": "{% if name != 'x' and other %}Hi{% endif %}"}, False),
        ({"text": "{{ name or 'you' }}"}, False),
        ({"text": "{{ 'Hi ' ~ name if name else 'Hi' }}"}, False),
        ({"text": "{% if name %}{{ name }}{% endif %}", "defaults": {"name": "you"}}, True),
        ({"text": "no field"}, False),
    ],
)
def test_who_has_a_field_blank_lacks_it_unless_it_is_asked_for(
    parts: dict[str, Any], *, lacks: bool
) -> None:
    made = campaign(**parts)
    assert ("name" in fields_of(made).blank_lacks) is lacks
    for blank in ("", "  ", "\t\u00a0"):
        kept = filled(Recipient("a@x.example", {"name": blank}), fields_of(made)).fields
        assert kept == ({} if lacks else {"name": blank})
    assert filled(Recipient("a@x.example", {"name": 0}), fields_of(made)).fields == {"name": 0}


def test_what_is_required_is_told_with_its_part_and_line() -> None:
    made = campaign(subject="{{ b }}", text="\n{{ a }}\n{{ a }} {{ b }}", defaults={"c": 1})
    fields = fields_of(made)
    assert fields.required == {"a", "b"}
    assert dict(fields.where) == {"a": "text, line 2", "b": "subject, line 1"}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"keep_blank": ["nme"]}, "keep_blank: no template names 'nme'; did you mean name?"),
        ({"keep_blank": ["zzz"]}, "keep_blank: no template names 'zzz'"),
        ({"keep_blank": "name"}, "keep_blank: it is a list of fields"),
    ],
)
def test_what_is_kept_blank_is_a_field(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(BadInputError) as refused:
        checks.check(campaign(text="{{ name }}", **given), senders={"news"})
    assert str(refused.value) == fault
    checks.check(campaign(text="{{ name }}", keep_blank=["name"]), senders={"news"})


def test_one_message_lacks_what_is_blank_too() -> None:
    message = Message(subject="Hello {{ name }}", text="T")
    blank = Recipient("a@x.example", {"name": " "})
    with pytest.raises(BadInputError, match=r"what it lacks: name \(name is blank\)"):
        whole(fields_of(campaign_of("news", message)), blank)
    kept = Message(subject="Hello {{ name }}", text="T", keep_blank=["name"])
    assert whole(fields_of(campaign_of("news", kept)), blank).fields == {"name": " "}
