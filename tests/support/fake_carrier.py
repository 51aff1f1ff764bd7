"""SES in memory, behind the same port as the real one; does what the script says."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from postroom.content.template import UnrenderableError
from postroom.model import Recipient
from worker.bulk import BulkEntry
from worker.raw import RawMailing
from worker.render import Mailing
from worker.ses.departure import Gate, always_open
from worker.ses.verdict import ACCEPTED, Fault, Kind, Verdict


@dataclass(frozen=True, slots=True)
class Sent:
    """One mail that was accepted."""

    to: str
    campaign: str
    batch: int
    index: int
    bulk: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """How one call ends. What `accepts` is sent all the same, as after a lost answer."""

    verdict: Verdict
    accepts: bool = False


@dataclass
class FakeCarrier:
    """Accepts everybody, save as scripted. Safe to share between threads."""

    sent: list[Sent] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    """Recipients of each call, in order."""
    next_answers: deque[Answer] = field(default_factory=deque)
    """How the next calls end as a whole; those after them succeed."""
    stubborn: dict[str, deque[Verdict]] = field(default_factory=dict)
    """The next verdicts of single addresses."""
    raw: set[bytes] = field(default_factory=set)
    """What went as it was."""
    _lock: Lock = field(default_factory=Lock)

    def end_next_call(self, kind: Kind, reason: str = "", *, accepts: bool = False) -> None:
        self.next_answers.append(Answer(Verdict(kind, reason), accepts))

    def refuse(
        self,
        address: str,
        kind: Kind,
        reason: str = "",
        *,
        times: int = 1,
        fault: Fault = Fault.UNKNOWN,
    ) -> None:
        verdicts = self.stubborn.setdefault(address, deque())
        verdicts.extend([Verdict(kind, reason, fault)] * times)

    @property
    def addresses(self) -> list[str]:
        """Everybody who got a mail, as often as they got one."""
        return [one.to for one in self.sent]

    def send_bulk(
        self,
        mailing: Mailing,
        batch_number: int,
        entries: Sequence[BulkEntry],
        gate: Gate = always_open,
    ) -> list[Verdict]:
        mails = [
            Sent(one.to, mailing.campaign_id, batch_number, one.index, bulk=True) for one in entries
        ]
        return self._take(mails, gate)

    def send_one(
        self,
        mailing: Mailing | RawMailing,
        batch_number: int,
        index: int,
        recipient: Recipient,
        gate: Gate = always_open,
    ) -> Verdict:
        try:
            if isinstance(mailing, RawMailing):
                self.raw.add(mailing.mime)
            else:
                mailing.message(recipient)
        except UnrenderableError as error:
            return Verdict(Kind.REJECTED, str(error))
        mail = Sent(recipient.email, mailing.campaign_id, batch_number, index, bulk=False)
        return self._take([mail], gate)[0]

    def _take(self, mails: Sequence[Sent], gate: Gate) -> list[Verdict]:
        if why := gate():
            return [Verdict(Kind.UNSENT, why)] * len(mails)
        with self._lock:
            self.calls.append(len(mails))
            if self.next_answers:
                answer = self.next_answers.popleft()
                self.sent += mails if answer.accepts else []
                return [answer.verdict] * len(mails)
            return [self._take_one(mail) for mail in mails]

    def _take_one(self, mail: Sent) -> Verdict:
        verdicts = self.stubborn.get(mail.to)
        if verdicts:
            return verdicts.popleft()
        self.sent.append(mail)
        return ACCEPTED
