"""SES in memory that answers by a script, counts for itself, and remembers what was in flight."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from postroom.ids import is_segment
from postroom.model import CampaignId, Recipient
from worker.bulk import BulkEntry
from worker.render import Mailing
from worker.ses.departure import Gate
from worker.ses.verdict import ACCEPTED, Kind, Verdict

Place = tuple[CampaignId, int, int]
"""A recipient, by the tags of the mail: campaign, batch, index."""

ANSWERS = {
    "accepted": (ACCEPTED, True),
    "rejected": (Verdict(Kind.REJECTED, "SES rejects the mail"), False),
    "transient": (Verdict(Kind.TRANSIENT, "SES had a temporary fault"), False),
    "throttled": (Verdict(Kind.THROTTLED, "above the sending rate"), False),
    "bulk throttled": (Verdict(Kind.BULK_THROTTLED, "no more requests"), False),
    "cut before": (Verdict(Kind.AMBIGUOUS, "the call broke"), False),
    "cut after": (Verdict(Kind.AMBIGUOUS, "the call broke"), True),
    "one by one": (Verdict(Kind.ONE_BY_ONE, "one of them is refused"), False),
}


def place(mailing: CampaignId, batch: int, index: int) -> Place:
    """Name one mail: a message has another index when its batch has begun elsewhere."""
    return (mailing, batch + index, 0) if is_segment(mailing) else (mailing, batch, index)


@dataclass
class ScriptedSes:
    """One for all processes: SES counts what it accepted, whoever sent it."""

    accepted: Counter[Place] = field(default_factory=Counter)
    to: Counter[str] = field(default_factory=Counter)
    """Mails by address, lower case."""
    answers: deque[str] = field(default_factory=deque)
    """How the next calls end; those after them are accepted."""
    at_call: Callable[[CampaignId, Sequence[str]], None] = lambda campaign_id, addresses: None
    """Told of each call when it arrives."""
    in_flight: Counter[CampaignId] = field(default_factory=Counter)
    """Recipients of calls that have left and were not answered yet."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send_bulk(
        self, mailing: Mailing, batch_number: int, entries: Sequence[BulkEntry], gate: Gate
    ) -> list[Verdict]:
        if why := gate():
            return [Verdict(Kind.UNSENT, why)] * len(entries)
        places = [place(mailing.campaign_id, batch_number, entry.index) for entry in entries]
        with self._flying(mailing.campaign_id, [entry.to for entry in entries]):
            return self._answer(places, [entry.to for entry in entries], bulk=True)

    def send_one(
        self, mailing: Mailing, batch_number: int, index: int, recipient: Recipient, gate: Gate
    ) -> Verdict:
        if why := gate():
            return Verdict(Kind.UNSENT, why)
        with self._flying(mailing.campaign_id, [recipient.email]):
            own = place(mailing.campaign_id, batch_number, index)
            return self._answer([own], [recipient.email], bulk=False)[0]

    @contextmanager
    def _flying(self, campaign_id: CampaignId, addresses: Sequence[str]) -> Iterator[None]:
        with self.lock:
            self.in_flight[campaign_id] += len(addresses)
        try:
            self.at_call(campaign_id, addresses)
            yield
        finally:
            with self.lock:
                self.in_flight[campaign_id] -= len(addresses)

    def _answer(
        self, places: Sequence[Place], addresses: Sequence[str], *, bulk: bool
    ) -> list[Verdict]:
        with self.lock:
            name = self.answers.popleft() if self.answers else "accepted"
            if not bulk and name in ("one by one", "bulk throttled"):
                name = "accepted"  # SendEmail has no such answer.
            verdict, accepts = ANSWERS[name]
            if accepts:
                self.accepted.update(places)
                self.to.update(address.lower() for address in addresses)
            return [verdict] * len(places)
