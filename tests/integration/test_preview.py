"""Mails are shown before anything is sent, as their readers would get them."""

import msgspec
import pytest

from postroom.client import Postroom
from postroom.errors import BadInputError
from postroom.settings import Sender, Settings
from postroom.store.connection import Store
from postroom.store.sender_registry import SenderRegistry
from tests.support.client_harness import ClientHarness, campaign

ADA = {"email": "Ada@x.example", "name": "Ada & Co"}


def test_a_service_without_settings_sees_the_mail_of_the_announced_sender(
    store: Store, settings: Settings
) -> None:
    sender = Sender(account="main", from_="Shop <news@shop.example.com>", reply_to=["h@x.example"])
    SenderRegistry(store).announce({"news": sender})
    made = campaign(
        html="<p>{{ name }}</p>",
        headers={"X-Ours": "1"},
        unsubscribe_url="https://shop.example.com/u?e={{ email }}",
    )
    with Postroom(settings=msgspec.structs.replace(settings, accounts={}, senders={})) as post:
        mail = post.render(made, ADA)
        assert post.list() == []
    assert (mail.from_, mail.reply_to) == ("Shop <news@shop.example.com>", ("h@x.example",))
    assert (mail.to, mail.html) == ("Ada@x.example", "<p>Ada &amp; Co</p>")
    assert mail.headers["X-Ours"] == "1"
    assert mail.headers["List-Unsubscribe"] == "<https://shop.example.com/u?e=Ada%40x.example>"


def test_a_blank_field_is_shown_as_it_will_be_sent(store: Store, settings: Settings) -> None:
    SenderRegistry(store).announce(settings.senders)
    made = campaign(subject="Hello {{ name }}!", defaults={"name": "friend"})
    with Postroom(settings=settings) as post:
        assert post.render(made, {"email": "a@x.example", "name": " "}).subject == "Hello friend!"


def test_what_cannot_be_rendered_is_bad_input(store: Store, settings: Settings) -> None:
    SenderRegistry(store).announce(settings.senders)
    with Postroom(settings=settings) as post:
        assert post.render(campaign(), "ada@x.example").from_ == "Shop <news@shop.example.com>"
        with pytest.raises(BadInputError, match="first_name"):
            post.render(campaign(subject="{{ first_name }}"), ADA)
        with pytest.raises(BadInputError, match="sender"):
            post.render(campaign(sender="nobody"), ADA)


def test_a_dry_run_tells_what_a_producer_would_find(harness: ClientHarness) -> None:
    harness.post.suppress("left@x.example", "asked to")
    made = campaign(subject="Hello {{ name }}")
    people = [
        {"email": "Ada@x.example", "name": "Ada"},
        {"email": "ada@x.example", "name": "Ada again"},
        {"email": "left@x.example", "name": "Left"},
        {"email": "bob@x.example"},
        {"email": "eve@x.example", "name": None},
        "nobody",
    ]
    looked = harness.post.check(made, people)
    assert (looked.good, looked.invalid, looked.duplicate, looked.suppressed) == (1, 3, 1, 1)
    assert [one.row for one in looked.noted] == [2, 4, 5, 6]
    assert harness.post.list() == []
    split = harness.split(harness.post.submit(made, people).id).totals
    assert (split.total, split.invalid, split.duplicate, split.suppressed) == (2, 3, 1, 1)
    bad = harness.post.bad_rows(harness.post.list()[0].id)
    assert [(one.row, one.kind) for one in bad] == [(one.row, one.kind) for one in looked.noted]
    with pytest.raises(BadInputError):
        harness.post.check(campaign(subject=""), people)
    with pytest.raises(BadInputError):
        harness.post.check(made, "ada@x.example")
