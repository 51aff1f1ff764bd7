"""One campaign's way to SES: fifty at a time with SendBulkEmail, or many SendEmail calls at once.

Both take the same recipients and give a verdict for each. In mode `auto` an account goes over
to SendEmail for a while when SES throttles SendBulkEmail requests.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from postroom.clock import Clock
from postroom.content.template import UnrenderableError
from postroom.model import AccountName, Lane, Recipient
from worker.bulk import BulkEntry, Frame, TooLargeForBulkError
from worker.raw import RawMailing
from worker.render import Mailing
from worker.sending.call_pool import CallPool, Reservation
from worker.ses.departure import Gate
from worker.ses.verdict import Fault, Kind, Verdict

_SINGLE_CHUNK: Final = 50
"""SendEmail calls that one batch has in flight: alone it reaches 500/s at 100 ms a call."""


ALONE: Final = "alone"
"""The kind of those that no SendBulkEmail takes."""


class Carrier(Protocol):
    """SES. Never raises for what SES or the network answers: that is a verdict.

    The gate is asked at the last moment before a call leaves; what it holds back is UNSENT.
    """

    def send_bulk(
        self, mailing: Frame, batch_number: int, entries: Sequence[BulkEntry], gate: Gate
    ) -> list[Verdict]: ...

    def send_one(
        self,
        mailing: Mailing | RawMailing,
        batch_number: int,
        index: int,
        recipient: Recipient,
        gate: Gate,
    ) -> Verdict: ...


class Mailings(Protocol):
    """What is sent: one campaign, or the messages of a segment, each by its own templates."""

    def of(self, recipient: Recipient) -> Mailing | RawMailing:
        """Return what makes one recipient's mail. Raises `UnrenderableError`."""

    def kind(self, recipient: Recipient) -> Hashable:
        """Return what those have in common who may go in one call."""

    def frame(self, recipients: Sequence[Recipient]) -> Frame:
        """Return what a SendBulkEmail to these shares."""

    def is_at_fault(self, recipient: Recipient, fault: Fault) -> bool:
        """Whether SES, that refuses all of a campaign, means this one mail by that."""

    def is_late(self, recipient: Recipient) -> bool:
        """Whether `not_after` of one message has passed."""


class BulkRest:
    """Accounts whose SendBulkEmail rests because SES throttled its requests."""

    def __init__(self, clock: Clock, *, rest_seconds: float) -> None:
        self._clock: Final = clock
        self._rest: Final = rest_seconds
        self._until: Final[dict[AccountName, float]] = {}

    def begin(self, account: AccountName) -> None:
        self._until[account] = self._clock() + self._rest

    def on(self, account: AccountName) -> bool:
        return self._until.get(account, 0.0) > self._clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Recipients that leave together; `deliver` sends them and gives a verdict for each."""

    indexes: tuple[int, ...]
    unrenderable: Mapping[int, str] = field(default_factory=dict)
    """Recipients for whom no mail can be made, and why."""
    too_large: frozenset[int] = frozenset()
    """Recipients who were left out: their mails fit into no SendBulkEmail."""
    deliver: Callable[[Gate], Mapping[int, Verdict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Sends the recipients of one campaign through one carrier."""

    account: AccountName
    mode: Literal["auto", "bulk", "single"]
    mailings: Mailings
    carrier: Carrier
    rest: BulkRest
    calls: CallPool
    bulk_call_size: int
    bulk_call_bytes: int

    def goes_bulk(self, recipients: int, *, alone: bool) -> bool:
        """Whether the next call is a SendBulkEmail: not for one recipient, its requests are scarce.

        `alone`: their mails fit into no bulk call, or SES refused one with them as a whole.
        """
        if alone or self.mode == "single":
            return False
        return self.mode == "bulk" or (recipients > 1 and not self.rest.on(self.account))

    def reserve(
        self, lane: Lane, most: int, *, bulk: bool
    ) -> AbstractContextManager[Reservation | None]:
        """Take places for up to `most` SendEmail calls; a bulk call runs on its batch's thread.

        Raises `BudgetExhaustedError`.
        """
        return nullcontext() if bulk else self.calls.reserve(lane, min(most, _SINGLE_CHUNK))

    def call_size(self, places: Reservation | None) -> int:
        """Return the most recipients that one call takes."""
        return self.bulk_call_size if places is None else places.places

    def rest_bulk(self) -> None:
        """Go over to SendEmail for a while."""
        self.rest.begin(self.account)

    def prepare(
        self,
        batch_number: int,
        recipients: Sequence[tuple[int, Recipient]],
        places: Reservation | None,
    ) -> Call:
        """Make one call of the first recipients that fit."""
        if not recipients:
            return Call(indexes=(), deliver=lambda _: {})
        if places is None:
            return self._bulk_call(batch_number, recipients)
        return self._single_call(batch_number, recipients, places)

    def _bulk_call(self, number: int, recipients: Sequence[tuple[int, Recipient]]) -> Call:
        entries: list[BulkEntry] = []
        too_large: set[int] = set()
        unrenderable: dict[int, str] = {}
        frame = self.mailings.frame([one for _, one in recipients])
        room = self.bulk_call_bytes - frame.template_size
        for index, recipient in recipients:
            try:
                entry = frame.bulk_entry(index, recipient)
            except UnrenderableError as fault:
                unrenderable[index] = str(fault)
            except TooLargeForBulkError:
                too_large.add(index)
            else:
                if entries and entry.size > room:
                    break
                room -= entry.size
                entries.append(entry)
        return Call(
            indexes=tuple(entry.index for entry in entries),
            unrenderable=unrenderable,
            too_large=frozenset(too_large),
            deliver=lambda gate: self._deliver_bulk(frame, number, entries, dict(recipients), gate),
        )

    def _deliver_bulk(
        self,
        frame: Frame,
        number: int,
        entries: Sequence[BulkEntry],
        recipients: Mapping[int, Recipient],
        gate: Gate,
    ) -> Mapping[int, Verdict]:
        if not entries:
            return {}
        answers = self.carrier.send_bulk(frame, number, entries, gate)
        return {
            entry.index: self._judged(recipients[entry.index], answer, Kind.ONE_BY_ONE)
            for entry, answer in zip(entries, answers, strict=True)
        }

    def _judged(self, recipient: Recipient, verdict: Verdict, own: Kind) -> Verdict:
        """Return `own` for a verdict on all, where this mail alone is meant."""
        if verdict.kind is Kind.STOP_CAMPAIGN and self.mailings.is_at_fault(
            recipient, verdict.fault
        ):
            return Verdict(own, verdict.reason)
        return verdict

    def _single_call(
        self, number: int, recipients: Sequence[tuple[int, Recipient]], places: Reservation
    ) -> Call:
        mails: list[tuple[int, Recipient, Mailing | RawMailing]] = []
        unrenderable: dict[int, str] = {}
        for index, recipient in recipients:
            try:
                mails.append((index, recipient, self.mailings.of(recipient)))
            except UnrenderableError as fault:
                unrenderable[index] = str(fault)
        indexes = tuple(index for index, _, _ in mails)

        def deliver(gate: Gate) -> Mapping[int, Verdict]:
            def one(mail: tuple[int, Recipient, Mailing | RawMailing]) -> Verdict:
                index, recipient, mailing = mail
                verdict = self.carrier.send_one(mailing, number, index, recipient, gate)
                return self._judged(recipient, verdict, Kind.REJECTED)

            return dict(zip(indexes, places.run(one, mails), strict=True))

        return Call(indexes=indexes, unrenderable=unrenderable, deliver=deliver)
