"""What one recipient's mail does to a default, no other recipient may ever see."""

from typing import Any

import pytest

from postroom.content.template import UnrenderableError
from postroom.model import Campaign, CampaignId, Recipient, SenderName
from postroom.settings import Sender
from worker.render import Mailing

ADA = Recipient("ada@example.com", {"name": "Ada", "coupon": "VIP-90-PERCENT"})
BOB = Recipient("bob@example.com", {"name": "Bob"})

CHANGING = {
    "a table": (
        "{% if coupon is defined %}{% set _ = order.update({'coupon': coupon}) %}{% endif %}"
        "Your coupon: {{ order.coupon }}"
    ),
    "a list": "{% set _ = seen.append(name) %}{{ seen|join(', ') }}",
    "a list in a table": "{% set _ = order['past'].extend([name]) %}{{ order.past|join(', ') }}",
    "a list, at its beginning": "{{ seen.insert(0, name) }}{{ seen }}",
}
PART = ("subject", "html", "text")


def mailing(**parts: Any) -> Mailing:
    usual = {"subject": "Hello {{ name }}", "text": "Hello {{ name }}"}
    defaults = {"order": {"coupon": "none", "past": []}, "seen": []}
    campaign = Campaign(
        name="Autumn", sender=SenderName("news"), defaults=defaults, **{**usual, **parts}
    )
    return Mailing(CampaignId("c1"), campaign, Sender(account="main", from_="n@shop.example.com"))


def shown(made: Mailing, recipient: Recipient, *, bulk: bool) -> str:
    """What goes to SES for one recipient, or that no mail can be made."""
    try:
        return made.bulk_entry(0, recipient).data if bulk else str(made.message(recipient))
    except UnrenderableError as error:
        return str(error)


@pytest.mark.parametrize("bulk", [True, False])
@pytest.mark.parametrize("part", PART)
@pytest.mark.parametrize("what", CHANGING)
def test_one_recipients_field_never_reaches_the_next_mail(
    what: str, part: str, *, bulk: bool
) -> None:
    made, fresh = mailing(**{part: CHANGING[what]}), mailing(**{part: CHANGING[what]})
    for _ in range(2):
        shown(made, ADA, bulk=bulk)
    after_ada = shown(made, BOB, bulk=bulk)
    assert after_ada == shown(fresh, BOB, bulk=bulk)
    assert "VIP" not in after_ada
    assert "Ada" not in after_ada


@pytest.mark.parametrize("bulk", [True, False])
def test_plain_placeholders_show_defaults_as_they_were_given(*, bulk: bool) -> None:
    made = mailing(text="{{ seen }} {{ order }}")
    assert made.is_plain
    assert shown(made, BOB, bulk=bulk) == shown(
        mailing(text="{{ seen }} {{ order }}"), BOB, bulk=bulk
    )


def test_what_would_change_a_default_is_refused_for_the_recipient() -> None:
    with pytest.raises(UnrenderableError, match="SecurityError"):
        mailing(text=CHANGING["a list"]).message(ADA)


def test_a_namespace_of_its_own_a_template_may_change() -> None:
    summed = "{% for i in [1, 2] %}{% set n.x = n.x + i %}{% endfor %}"
    text = "{% set n = namespace(x=0) %}" + summed + "{{ n.x }}"
    assert mailing(text=text).message(ADA).text == "3"
