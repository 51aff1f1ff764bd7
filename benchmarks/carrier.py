"""What one mail costs this process between the recipient and the wire, on one core.

    python -m simulator --port 8005 &
    AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any \
        python -m benchmarks.carrier http://127.0.0.1:8005
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from postroom import settings
from postroom.model import AccountName, Campaign, CampaignId, Recipient, SenderName
from postroom.settings import Account, Sender
from worker.render import Mailing
from worker.ses.client import Clients
from worker.ses.request import SesCarrier
from worker.ses.verdict import ACCEPTED

MAILS = {50: 10_000, 1: 500, 64: 1280}
"""How many mails are measured, by how many one act makes."""
THREADS = 64
PLAIN = "Hello {{ name }} from {{ city }}: {{ unsubscribe_url }}"
RENDERED = "Hello {{ name|upper }}{% if city %} from {{ city }}{% endif %}: {{ unsubscribe_url }}"


def carrier(url: str) -> SesCarrier:
    main = Account(region="eu-west-1", endpoint_url=url)
    clients = Clients(msgspec.structs.replace(settings.load({}), accounts={"main": main}))
    return SesCarrier(
        lambda: clients.sending(AccountName("main")),
        region="eu-west-1",
        changed=lambda: clients.changed(AccountName("main")),
    )


def mailing(text: str) -> Mailing:
    campaign = Campaign(
        name="Autumn",
        sender=SenderName("news"),
        subject="Hello {{ name }}",
        html="<p>Dear {{ name }}</p>" + "<p>" + "lorem ipsum " * 300 + "</p>",
        text=text,
        unsubscribe_url="https://shop.example.com/u/{{ email }}",
    )
    sender = Sender(account="main", from_="Shop News <news@shop.example.com>")
    return Mailing(CampaignId("0123456789abcdef"), campaign, sender)


def measure(what: str, mails: int, act: Callable[[], object]) -> None:
    act()
    cpu, wall = time.process_time(), time.perf_counter()
    acts = MAILS[mails] // mails
    for _ in range(acts):
        act()
    spent, passed = time.process_time() - cpu, time.perf_counter() - wall
    each, rate = spent / (acts * mails), acts * mails / passed
    print(f"{what:<28}{each * 1e6:8.1f} us CPU a mail {rate:10,.0f} mails/s")


def main(url: str) -> None:
    ses, plain, rendered = carrier(url), mailing(PLAIN), mailing(RENDERED)
    people = [
        Recipient(f"user{at}@example.org", {"name": f"Ana {at}", "city": "Berlin"})
        for at in range(50)
    ]
    for kind, made in (("plain", plain), ("rendered", rendered)):
        entries = [made.bulk_entry(at, one) for at, one in enumerate(people)]
        verdicts = ses.send_bulk(made, 1, entries)
        if verdicts != [ACCEPTED] * 50:
            sys.exit(f"{url}: {verdicts[0].reason}")

        def render(made: Mailing = made) -> object:
            return [made.bulk_entry(at, one) for at, one in enumerate(people)]

        def send(made: Mailing = made, entries: list[object] = entries) -> object:
            return ses.send_bulk(made, 1, entries)

        measure(f"{kind}: bulk_entry", 50, render)
        measure(f"{kind}: send_bulk of 50", 50, send)
        measure(f"{kind}: send_one", 1, lambda made=made: ses.send_one(made, 1, 0, people[0]))
    with ThreadPoolExecutor(THREADS) as threads:

        def at_once() -> object:
            return list(
                threads.map(
                    lambda at: ses.send_one(plain, 1, at % 50, people[at % 50]), range(THREADS)
                )
            )

        measure(f"plain: send_one, {THREADS} threads", THREADS, at_once)


if __name__ == "__main__":
    main(sys.argv[1])
