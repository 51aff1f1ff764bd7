"""One campaign rendered: by SES's own placeholders or by us, the mail is the same."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.content.sandbox import BODY_PARTS, compiled, parsed
from postroom.content.template import RenderedMail, UnrenderableError
from postroom.errors import BadInputError
from postroom.model import Campaign, CampaignId, Recipient, SenderName
from postroom.settings import Sender
from worker.bulk import BulkEntry, TooLargeForBulkError
from worker.render import MAX_CALL_BYTES, Mailing

SENDER = Sender(account="main", from_="Shop News <news@shop.example.com>")
PLAIN = {
    "subject": "Hi {{ name }}: {{ city }}",
    "html": "<p title='{{ name }}'>{{ name }} in {{ city }} & <{{ email }}></p>\n{{ n }}",
    "text": "Hi {{ name }} {{ city }}\n{{ n }}{{ email }} {{ unsubscribe_url }}\n",
    "unsubscribe_url": "https://shop.example.com/u?e={{ email }}&c={{ city }}",
    "defaults": {"n": 'many "<things>"'},
}


def mailing(sender: Sender = SENDER, **parts: Any) -> Mailing:
    made = {"subject": "Hello", "text": "Hi"} | parts
    campaign = Campaign(name="Autumn", sender=SenderName("news"), **made)
    return Mailing(CampaignId("c1"), campaign, sender)


def to(email: str = "ana@example.org", **fields: Any) -> Recipient:
    return Recipient(email, fields)


def as_ses_would(made: Mailing, entry: BulkEntry) -> RenderedMail:
    """Substitute each placeholder once, as SES does."""
    values = json.loads(entry.data)

    def filled(part: str | None) -> str | None:
        if part is None:
            return None
        return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], part)

    template = made.template
    headers = template.headers + entry.headers
    return RenderedMail(
        filled(template.subject) or "", filled(template.html), filled(template.text), headers
    )


def both_ways(made: Mailing, recipient: Recipient) -> tuple[RenderedMail, RenderedMail]:
    return as_ses_would(made, made.bulk_entry(0, recipient)), made.message(recipient)


FIELD = st.one_of(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=30),
    st.text(alphabet="{}<>&\"'\\%$\r\n\t\x00\u2028 aé😀/", max_size=30),
    st.sampled_from(["{{name}}", "{{ city }}", "{{s0}}", "{% if %}", "$1", "\\g<1>", None]),
    st.integers(),
    st.floats(allow_nan=False),
    st.booleans(),
    st.lists(st.text(max_size=3), max_size=2),
)


@given(name=FIELD, city=FIELD)
def test_ses_and_we_make_the_same_mail_of_plain_placeholders(name: object, city: object) -> None:
    made = mailing(**PLAIN)
    assert made.is_plain
    by_ses, by_us = both_ways(made, to(name=name, city=city))
    assert by_ses == by_us


@given(name=FIELD, city=FIELD)
def test_a_mail_rendered_here_arrives_through_ses_unchanged(name: object, city: object) -> None:
    made = mailing(**PLAIN | {"text": "{{ name|upper }}{% if city %}{{ city }}{% endif %}"})
    assert not made.is_plain
    by_ses, by_us = both_ways(made, to(name=name, city=city))
    assert by_ses == by_us


@given(literal=st.text(alphabet="{}%#\\ ab\n", max_size=8), name=FIELD)
def test_literals_that_look_like_placeholders_arrive_unchanged(literal: str, name: object) -> None:
    try:
        made = mailing(text=f"x{literal}{{{{ name }}}}{literal}", defaults={"a": "1", "b": "2"})
    except BadInputError:
        return  # Jinja does not read it either.
    try:
        by_us = made.message(to(name=name))
    except UnrenderableError:
        return
    assert as_ses_would(made, made.bulk_entry(0, to(name=name))) == by_us


@pytest.mark.parametrize("one", ['"', "\\", "é", "\x00", "<", "a"])
def test_the_size_of_an_entry_counts_what_json_makes_of_it(one: str) -> None:
    made = mailing(text="{{ name }}")
    entry = made.bulk_entry(0, to(name=one * 5000))
    as_json_string = json.dumps(entry.data, ensure_ascii=False).encode()
    assert len(as_json_string) <= entry.size <= len(as_json_string) + 1000


@given(name=FIELD, url=st.text(alphabet=st.characters(codec="ascii"), max_size=40))
def test_the_size_of_an_entry_is_never_told_too_small(name: object, url: str) -> None:
    made = mailing(**PLAIN, tags={"season": "autumn" * 40})
    entry = made.bulk_entry(0, to(name=name, city=url))
    names = ("campaign", "c" * 40), ("batch", "9" * 7), ("index", "499"), *made.tags.items()
    whole = {
        "Destination": {"ToAddresses": [entry.to]},
        "ReplacementEmailContent": {
            "ReplacementTemplate": {"ReplacementTemplateData": entry.data},
        },
        "ReplacementHeaders": [{"Name": n, "Value": v} for n, v in entry.headers],
        "ReplacementTags": [{"Name": n, "Value": v} for n, v in names],
    }
    exact = len(json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode())
    assert entry.size >= exact


def test_empty_parts_are_still_carried() -> None:
    made = mailing(text="{% if a %}x{% endif %}", html="{% if a %}x{% endif %}")
    by_ses, by_us = both_ways(made, to(a=""))
    assert by_ses == by_us
    assert (by_us.html, by_us.text) == ("", "")


def test_a_lacking_field_is_named_and_the_address_is_not() -> None:
    made = mailing(html="{{ name }}")
    with pytest.raises(UnrenderableError, match=r"^html: the recipient lacks the field 'name'$"):
        made.bulk_entry(0, to())


@pytest.mark.parametrize("text", ["{{ a }}", "{{ a|upper }}"])
def test_what_is_no_unicode_rejects_the_recipient(text: str) -> None:
    with pytest.raises(UnrenderableError, match="Unicode"):
        mailing(text=text).bulk_entry(0, to(a="\ud800"))


@pytest.mark.parametrize("text", ["{{ a }}", "{{ a|upper }}"])
def test_a_mail_too_large_for_an_entry_goes_by_itself(text: str) -> None:
    made = mailing(text=text)
    with pytest.raises(TooLargeForBulkError):
        made.bulk_entry(0, to(a="x" * 262_145))
    assert len(made.message(to(a="x" * 262_145)).text or "") == 262_145


def test_a_template_too_large_for_a_call_goes_by_itself() -> None:
    made = mailing(html="x" * MAX_CALL_BYTES)
    with pytest.raises(TooLargeForBulkError):
        made.bulk_entry(0, to())


def test_a_mail_larger_than_ses_takes_rejects_the_recipient() -> None:
    made = mailing(text="{{ a }}")
    with pytest.raises(UnrenderableError, match="40 MB"):
        made.message(to(a="x" * 31_000_000))


@pytest.mark.parametrize(
    ("written", "header", "address"),
    [
        ("news@shop.example.com", "news@shop.example.com", "news@shop.example.com"),
        ("Shop <news@shop.example.com>", "Shop <news@shop.example.com>", "news@shop.example.com"),
        ("Käse <a@b.example>", "=?utf-8?b?S8Okc2U=?= <a@b.example>", "a@b.example"),
        ("Shop <a@käse.example>", "Shop <a@xn--kse-qla.example>", "a@xn--kse-qla.example"),
        ('"Shop, News" <a@b.example>', '"Shop, News" <a@b.example>', "a@b.example"),
    ],
)
def test_the_sender_is_written_as_mail_headers_are(written: str, header: str, address: str) -> None:
    made = mailing(Sender(account="main", from_=written, reply_to=[written]))
    assert (made.from_.header, made.from_.address) == (header, address)
    assert made.reply_to == (made.from_,)


@pytest.mark.parametrize("written", ["", "Shop", "Shop, News <a@b.example>", "a@b@c.example", "@b"])
def test_a_sender_that_is_no_address_is_refused_with_its_place(written: str) -> None:
    with pytest.raises(BadInputError, match=r"senders\.news\.from"):
        mailing(Sender(account="main", from_=written))
    with pytest.raises(BadInputError, match=r"senders\.news\.reply_to"):
        mailing(Sender(account="main", from_="a@b.example", reply_to=[written]))


@given(name=FIELD, city=FIELD)
def test_plain_placeholders_are_filled_as_jinja_fills_them(name: object, city: object) -> None:
    recipient = to(name=name, city=city)
    values = {**PLAIN["defaults"], **recipient.fields, "email": recipient.email}
    plain = {part: PLAIN[part].replace("{{ unsubscribe_url }}", "") for part in BODY_PARTS}
    by_jinja = [compiled(part, source).render(values) for part, source in plain.items()]
    made = mailing(**plain, defaults=PLAIN["defaults"])
    assert made.is_plain
    assert list(made.message(recipient)[:3]) == by_jinja


class TestWork:
    """What the templates of one message cost, of which there are many with the same."""

    def looked_at(self) -> tuple[int, int]:
        """How many templates were parsed and compiled so far."""
        return parsed.cache_info().misses, compiled.cache_info().misses

    @pytest.mark.parametrize(("ending", "compiles"), [("", 0), ("{% if name %}!{% endif %}", 1)])
    def test_a_template_is_parsed_once_and_compiled_only_where_it_must(
        self, ending: str, compiles: int
    ) -> None:
        parts = {"subject": "Once {{ name }}", "text": f"Hello {{{{ name }}}}{ending} {uuid4()}"}
        parses, compiled_before = self.looked_at()
        for _ in range(3):
            made = mailing(**parts)
            made.message(to(name="Ana"))
        # The subject may be known from another case.
        assert self.looked_at()[0] - parses <= 2
        assert self.looked_at()[1] - compiled_before == compiles

    def test_messages_with_the_same_template_hold_it_once(self) -> None:
        html = f"<p>{uuid4()} {{{{ name }}}}</p>"
        one, two = (mailing(html=html, tags={"at": str(at)}) for at in range(2))
        assert one.template is two.template
        assert mailing(html=html, subject="Another").template is not one.template
