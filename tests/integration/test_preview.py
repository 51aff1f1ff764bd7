"""Mails are shown before anything is sent, as their readers would get them."""

import msgspec
import pytest

from postroom.client import Postroom
from postroom.errors import BadInputError
from postroom.settings import Sender, Settings
from postroom.store.connection import Store
from postroom.store.directory import Directory
from tests.support.office import campaign

ADA = {"email": "Ada@x.example", "name": "Ada & Co"}


def test_a_service_without_settings_sees_the_mail_of_the_announced_sender(
    store: Store, settings: Settings
) -> None:
    sender = Sender(account="main", from_="Shop <news@shop.example.com>", reply_to=["h@x.example"])
    Directory(store).announce({"news": sender})
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


def test_what_cannot_be_rendered_is_bad_input(store: Store, settings: Settings) -> None:
    Directory(store).announce(settings.senders)
    with Postroom(settings=settings) as post:
        assert post.render(campaign(), "ada@x.example").from_ == "Shop <news@shop.example.com>"
        with pytest.raises(BadInputError, match="first_name"):
            post.render(campaign(subject="{{ first_name }}"), ADA)
        with pytest.raises(BadInputError, match="sender"):
            post.render(campaign(sender="nobody"), ADA)
