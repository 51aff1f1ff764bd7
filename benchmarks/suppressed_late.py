"""Who is suppressed after the split is not mailed from a second after the call, on any lane.

The rate is low, so that they still wait then; each is suppressed in another spelling than the
campaign has. The list is empty before each lane, so that workers must notice its first entry.
"""

import time
from collections.abc import Callable, Iterable

from benchmarks.lab import HTML, TEXT, Lab, lab, report
from benchmarks.watching import Watch, until, watch
from postroom.content.address import normal
from postroom.localstack.stack import Shape
from postroom.model import AccountName, Campaign, CampaignId, Message, Recipient, SenderName, State

_ACCOUNT = AccountName("local")
_RATE = 100
_RECIPIENTS = 1_000
_SOON_SECONDS = 1.0
_SPELLINGS: tuple[Callable[[str], tuple[str, str]], ...] = (
    # As the campaign has it, and as it is suppressed.
    lambda name: (f"{name}@Example.org", f"{name.upper()}@example.ORG"),
    lambda name: (f"{name}@b\u00fccher.example", f"{name}@xn--bcher-kva.example"),
    lambda name: (f"{name}@example.org", f'"{name}"@example.org'),
)


def main() -> None:
    for mode in ("bulk", "single"):
        options = ("--burst-seconds", "1", "--mails-kept", "100000")
        shape = Shape(workers=2, rate=_RATE, latency_ms=60, simulator_options=options)
        with lab(shape, account=f"send_mode = '{mode}'") as room, watch(room) as see:
            for lane in (_campaign, _messages, _retried, _resumed):
                _measure(see, mode, lane)


def _measure(see: Watch, mode: str, lane: Callable[[Watch, list[str]], list[CampaignId]]) -> None:
    name = lane.__name__.removeprefix("_")
    spelled = [
        _SPELLINGS[number % len(_SPELLINGS)](f"{name}{number}") for number in range(_RECIPIENTS)
    ]
    ids = lane(see, [written for written, _ in spelled])
    called = {}
    for written, other in spelled[len(spelled) // 2 :: 5]:
        see.room.postroom.suppress(other, "unsubscribed")
        called[normal(written)] = time.time()
    for one in ids:
        if see.room.postroom.status(one).state is State.PAUSED:
            see.room.postroom.resume(one)
    statuses = [see.room.wait(one, 120) for one in ids]
    mailed = {normal(address): at for address, at in see.times(name).items()}
    late = [mailed[one] - at for one, at in called.items() if one in mailed]
    report(
        "suppressed_late",
        mode=mode,
        lane=name,
        suppressed=len(called),
        settled_as_suppressed=sum(one.totals.suppressed for one in statuses),
        mailed_before=sum(after <= 0 for after in late),
        mailed_within_a_second=sum(0 < after <= _SOON_SECONDS for after in late),
        mailed_later=sum(after > _SOON_SECONDS for after in late),
    )
    for one in called:
        see.room.postroom.unsuppress(one)


def _campaign(see: Watch, addresses: list[str]) -> list[CampaignId]:
    """A campaign that is under way."""
    campaign_id = _submit(see.room, addresses)
    until(lambda: see.accepted(campaign_id) > 50, "mails leave")
    return [campaign_id]


def _messages(see: Watch, addresses: list[str]) -> list[CampaignId]:
    """Messages that wait for the rate: faster than it they are handed in while nothing goes."""
    post, message = see.room.postroom, Message(subject="Your receipt", text="Thank you")
    post.pause_account(_ACCOUNT)
    ids = [post.send(SenderName("news"), message, address).id for address in addresses]
    before = see.accepted_in_all()
    post.resume_account(_ACCOUNT)
    until(lambda: see.accepted_in_all() > before, "mails leave")
    return ids


def _retried(see: Watch, addresses: list[str]) -> list[CampaignId]:
    """A campaign to whom another was refused before."""
    see.room.ask_ses("POST", "faults", {"kind": "entry", "status": "MESSAGE_REJECTED"})
    refused = _submit(see.room, addresses)
    see.room.wait(refused, 120)
    see.room.ask_ses("DELETE", "faults")
    again = [one.id for one in see.room.postroom.retry(refused, rejected="")]
    until(lambda: all(map(see.accepted, again)), "mails leave")
    return again


def _resumed(see: Watch, addresses: list[str]) -> list[CampaignId]:
    """A campaign that was paused when it was under way."""
    [campaign_id] = _campaign(see, addresses)
    see.room.postroom.pause(campaign_id)
    return [campaign_id]


def _submit(room: Lab, addresses: Iterable[str]) -> CampaignId:
    campaign = Campaign(
        name="late", sender=SenderName("news"), subject="Hello", html=HTML, text=TEXT
    )
    people = (Recipient(address, {"name": "Ana"}) for address in addresses)
    return room.postroom.submit(campaign, people).id


if __name__ == "__main__":
    main()
