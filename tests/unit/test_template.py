"""Templates: what is refused at submit, what a recipient must bring, what a mail shows."""

from typing import Any

import pytest

from postroom.content.fields import fields_of
from postroom.content.sandbox import Field, plain_placeholders
from postroom.content.template import RenderedMail, Templates, UnrenderableError, check
from postroom.errors import BadInputError
from postroom.model import Campaign, Recipient, SenderName


def campaign(**parts: Any) -> Campaign:
    made = {"subject": "Hello", "text": "Hi"} | parts
    return Campaign(name="Autumn", sender=SenderName("news"), **made)


def mail(email: str = "ana@example.org", /, *, to: dict[str, Any], **parts: Any) -> RenderedMail:
    templates = Templates(campaign(**parts))
    return templates.message(templates.values(Recipient(email, to)))


class TestCheck:
    @pytest.mark.parametrize(
        ("parts", "complaint"),
        [
            ({"html": "a\n{{ name"}, "html, line 2"),
            ({"html": "a\nb\n{% if x %}"}, "html, line 3"),
            ({"text": "{{ name|nosuch }}"}, "text, line 1: No filter named 'nosuch'"),
            ({"subject": "{% for %}"}, "subject, line 1"),
            ({"subject": "one\ntwo"}, "subject, line 1"),
            ({"text": "a\n{% include 'x' %}"}, "text, line 2: templates cannot load"),
            ({"text": "{% import 'x' as y %}"}, "text, line 1: templates cannot load"),
            ({"text": "a\n{{ unsubscribe_url }}"}, "text, line 2: unsubscribe_url"),
            ({"unsubscribe_url": "http://a.example/{{ id }}"}, "unsubscribe_url, line 1"),
            ({"unsubscribe_url": "https://a.example/ü"}, "unsubscribe_url, line 1"),
            ({"unsubscribe_url": "https:///x"}, "unsubscribe_url, line 1"),
            ({"text": None}, "html or a text part"),
        ],
    )
    def test_says_which_part_and_line(self, parts: dict[str, Any], complaint: str) -> None:
        with pytest.raises(BadInputError, match=complaint):
            check(campaign(**parts))

    def test_takes_what_can_be_sent(self) -> None:
        url = "https://a.example/{{ id }}"
        check(campaign(html="{{ name|title }} {{ unsubscribe_url }}", unsubscribe_url=url))

    def test_a_column_may_hold_the_whole_unsubscribe_url(self) -> None:
        check(campaign(unsubscribe_url="{{ link }}"))


class TestRequiredFields:
    def test_are_those_of_all_parts(self) -> None:
        made = campaign(subject="{{ a }}", html="{% if b %}{{ c }}{% endif %}", text="{{ d.e }}")
        assert fields_of(made).required == {"a", "b", "c", "d"}

    def test_are_not_those_with_a_default_nor_ours(self) -> None:
        made = campaign(
            text="{{ a }} {{ email }} {{ unsubscribe_url }}",
            defaults={"a": "friend"},
            unsubscribe_url="https://a.example/{{ email }}/{{ token }}",
        )
        assert fields_of(made).required == {"token"}

    def test_are_not_those_the_template_itself_sets_or_guards(self) -> None:
        text = (
            "{% set x = 1 %}{{ x }}{% for i in range(3) %}{{ i }}{{ loop.index }}{% endfor %}"
            "{{ name|default('friend') }}{% if city is defined %}{{ city }}{% endif %}"
        )
        assert fields_of(campaign(text=text)).required == frozenset()

    def test_a_default_filter_at_one_place_does_not_cover_another(self) -> None:
        assert fields_of(campaign(text="{{ a|default('x') }} {{ a }}")).required == {"a"}

    def test_a_column_named_unsubscribe_url_is_needed_by_the_url_template(self) -> None:
        made = campaign(unsubscribe_url="{{ unsubscribe_url }}")
        assert fields_of(made).required == {"unsubscribe_url"}


class TestMessage:
    def test_html_is_escaped_and_text_is_not(self) -> None:
        made = mail(to={"n": "<b> & 'q'"}, subject="{{ n }}", html="{{ n }}", text="{{ n }}")
        assert made.html == "&lt;b&gt; &amp; &#39;q&#39;"
        assert (made.subject, made.text) == ("<b> & 'q'", "<b> & 'q'")

    def test_safe_html_stays_as_it_is(self) -> None:
        assert mail(to={"n": "<b>"}, html="{{ n|safe }}{{ n|e }}").html == "<b>&lt;b&gt;"

    def test_the_recipients_field_goes_before_the_default_and_email_before_both(self) -> None:
        made = mail(
            to={"a": "own", "email": "not@this.example"},
            text="{{ a }} {{ b }} {{ email }}",
            defaults={"a": "default", "b": "default"},
        )
        assert made.text == "own default ana@example.org"

    def test_null_is_empty(self) -> None:
        assert mail(to={"a": None}, text="[{{ a }}]").text == "[]"

    def test_line_breaks_of_a_field_do_not_enter_the_subject(self) -> None:
        made = mail(to={"a": "one\r\nBcc: two\x00\u2028three"}, subject="{{ a }}!")
        assert made.subject == "one Bcc: two three!"

    def test_a_lacking_field_is_named_and_the_address_is_not(self) -> None:
        with pytest.raises(
            UnrenderableError, match=r"^text: the recipient lacks the field 'name'$"
        ):
            mail(to={}, text="{{ name }}")

    @pytest.mark.parametrize(
        ("text", "cause"),
        [
            ("{{ email.nosuch }}", "text: it asks for something a field does not have"),
            ("{{ n + 1 }}", "text: TypeError while rendering"),
            ("{{ 1 // 0 }}", "text: ZeroDivisionError while rendering"),
            ("{{ email.__class__.__mro__ }}", "text: SecurityError while rendering"),
            ("{{ 'x' * 100000000 }}", "text: SecurityError while rendering"),
            ("{{ [0] * 100000000 }}", "text: SecurityError while rendering"),
            ("{{ 9 ** 9999999 }}", "text: SecurityError while rendering"),
            ("{% for i in range(1001) %}{% endfor %}", "text: SecurityError while rendering"),
            ("{{ '%999999999d' % 1 }}", "text: SecurityError while rendering"),
            ("{{ lipsum() }}", "text: the recipient lacks the field 'lipsum'"),
        ],
    )
    def test_a_template_that_fails_rejects_the_recipient(self, text: str, cause: str) -> None:
        with pytest.raises(UnrenderableError) as caught:
            mail(to={"n": "ana@example.org"}, text=text)
        assert str(caught.value) == cause

    def test_ordinary_arithmetic_works(self) -> None:
        made = mail(
            to={"n": 3}, text="{{ n * 2 }} {{ n ** 2 }} {{ '-' * n }} {{ '%.2f'|format(n) }}"
        )
        assert made.text == "6 9 --- 3.00"


class TestUnsubscribe:
    def url(self, template: str, **fields: Any) -> str:
        made = mail(to=fields, text="{{ unsubscribe_url }}", unsubscribe_url=template)
        assert made.headers == (
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("List-Unsubscribe", f"<{made.text}>"),
        )
        return made.text or ""

    def test_values_are_percent_encoded(self) -> None:
        assert self.url("https://a.example/?e={{ email }}&t={{ t }}", t="ü /&") == (
            "https://a.example/?e=ana%40example.org&t=%C3%BC%20%2F%26"
        )

    def test_values_are_encoded_once_though_the_author_encodes_them_too(self) -> None:
        url = "https://a.example/{% if t %}{{ t|urlencode }}{% endif %}"
        assert self.url(url, t="a b") == "https://a.example/a%20b"

    def test_a_column_may_hold_the_whole_url(self) -> None:
        assert (
            self.url("{{ link }}", link="https://a.example/?x=1%20") == "https://a.example/?x=1%20"
        )

    def test_the_url_is_escaped_in_html(self) -> None:
        made = mail(
            to={},
            html="{{ unsubscribe_url }}",
            unsubscribe_url="https://a.example/?a=1&b={{ email }}",
        )
        assert made.html == "https://a.example/?a=1&amp;b=ana%40example.org"

    @pytest.mark.parametrize(
        "link",
        [
            "",
            "http://a.example/",
            "https://",
            "javascript:alert(1)",
            "https://a.example/ü",
            "https://a.example/a>b",
            "https://a.example/a b",
            "https://a.example/\nBcc: x",
            "https://a.example/" + "x" * 900,
        ],
    )
    def test_what_is_no_https_url_rejects_the_recipient(self, link: str) -> None:
        with pytest.raises(UnrenderableError, match="unsubscribe_url"):
            self.url("{{ link }}", link=link)

    def test_the_campaigns_own_headers_are_kept_and_ours_replace_two(self) -> None:
        made = mail(
            to={},
            headers={"X-Shop": "1", "list-unsubscribe": "<mailto:a@b.example>"},
            unsubscribe_url="https://a.example/u",
        )
        assert [name for name, _ in made.headers] == [
            "X-Shop",
            "List-Unsubscribe-Post",
            "List-Unsubscribe",
        ]

    def test_without_a_url_the_campaign_may_set_the_header_itself(self) -> None:
        made = mail(to={}, headers={"List-Unsubscribe": "<mailto:a@b.example>"})
        assert made.headers == (("List-Unsubscribe", "<mailto:a@b.example>"),)


class TestPlainPlaceholders:
    @pytest.mark.parametrize(
        ("source", "pieces"),
        [
            ("Hi {{ name }}!", ("Hi ", Field("name"), "!")),
            ("{{a}}{{ b }}", (Field("a"), Field("b"))),
            ("no field", ("no field",)),
            ("", ()),
            ("a {# note #}{{ b }}", ("a ", Field("b"))),
            ("one { brace } %}"[:-3], ("one { brace }",)),
            ("line\r\n{{ a }}\n", ("line\n", Field("a"))),
            ("{{ a -}}  b", (Field("a"), "b")),
        ],
    )
    def test_are_found(self, source: str, pieces: tuple[str | Field, ...]) -> None:
        found = plain_placeholders("text", source)
        assert found is not None
        assert [one for one in found if one] == list(pieces)

    @pytest.mark.parametrize(
        "source",
        [
            "{{ name|upper }}",
            "{{ a.b }}",
            "{{ 'x' }}",
            "{{ a ~ b }}",
            "{% if a %}{% endif %}",
            "{% raw %}{{ a }}{% endraw %}",
            "{% raw %}{{{% endraw %}",
            "}} {{ a }}",
            "{{ a }}}",
            "{% raw %}{{% endraw %}{{ a }}",
            "{ {{- a }}",
            "\\{{ a }}",
            "%} {{ a }}",
            "{{ range }}",
            "{{ a() }}",
        ],
    )
    def test_anything_more_is_left_to_jinja(self, source: str) -> None:
        assert plain_placeholders("text", source) is None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("{{ first name }}", "a field is one word, like first_name"),
        ("{{#if x}}", "a condition is {% if field %}"),
        ("{{/if}}", "a condition is {% if field %}"),
        ("{{{ x }}}", "two braces on either side"),
        ("{{ \u201cx\u201d }}", "quotes within {{ }} are straight ones"),
    ],
)
def test_what_jinja_cannot_read_is_told_in_the_words_of_a_template_author(
    text: str, hint: str
) -> None:
    with pytest.raises(BadInputError) as refused:
        check(campaign(text=text))
    assert str(refused.value).startswith("text, line 1: ")
    assert hint in str(refused.value)
