"""A mailing, a few people, and the real carrier to send it to them."""

from functools import cache
from typing import Any

import msgspec

from postroom import settings as settings_module
from postroom.model import AccountName, Campaign, CampaignId, Recipient, SenderName
from postroom.settings import Account, Sender, Settings
from worker.render import Mailing
from worker.sending.delivery import Carrier
from worker.ses.client import Clients
from worker.ses.request import SesCarrier
from worker.ses.verdict import Kind, Verdict

MAIN = AccountName("main")
SENDER = Sender(account="main", from_="Shop <news@shop.example.com>")
PEOPLE = [Recipient(f"user{at}@example.org", {"name": f"N{at}"}) for at in range(5)]


def settings_for(url: str, *, patience: float = 5.0, **account: Any) -> Settings:
    """One account at `url`, which has `patience` seconds to answer."""
    loaded = settings_module.load({})
    ses = msgspec.structs.replace(
        loaded.ses, connect_timeout_seconds=patience, read_timeout_seconds=patience
    )
    main = Account(region="eu-west-1", endpoint_url=url, **account)
    return msgspec.structs.replace(
        loaded, ses=ses, accounts={"main": main}, senders={"news": SENDER}
    )


def carrier_to(url: str, **settings: Any) -> SesCarrier:
    clients = Clients(settings_for(url, **settings))
    return SesCarrier(
        lambda: clients.sending(MAIN),
        region="eu-west-1",
        changed=lambda: clients.changed(MAIN),
    )


@cache
def simulated(url: str) -> SesCarrier:
    """The carrier that most tests share: to make a client takes botocore a while."""
    return carrier_to(url)


def mailing(sender: Sender = SENDER, **parts: Any) -> Mailing:
    made = {"subject": "Hi {{ name }}", "text": "Hello {{ name }}"} | parts
    campaign = Campaign(name="Autumn", sender=SenderName("news"), **made)
    return Mailing(CampaignId("c42"), campaign, sender)


def send_bulk(carrier: Carrier, made: Mailing | None = None, count: int = 5) -> list[Verdict]:
    made = made or mailing()
    entries = [made.bulk_entry(at, one) for at, one in enumerate(PEOPLE[:count])]
    return carrier.send_bulk(made, 7, entries)


def kinds(verdicts: list[Verdict]) -> list[Kind]:
    return [one.kind for one in verdicts]
