"""One campaign's way to SES: fifty at a time with SendBulkEmail, or many SendEmail calls at once.

Both take the same recipients and give a verdict for each. In mode `auto` an account goes over
to SendEmail for a while when SES throttles SendBulkEmail requests.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from postroom.clock import Clock
from postroom.model import AccountName, Recipient
from postroom.template import UnrenderableError
from worker.call_pool import CallPool
from worker.render import BulkEntry, Mailing, TooLargeForBulkError
from worker.ses.verdict import Kind, Verdict

_SINGLE_CHUNK: Final = 50
"""SendEmail calls that one batch has in flight: alone it reaches 500/s at 100 ms a call."""


class Carrier(Protocol):
    """SES. Never raises for what SES or the network answers: that is a verdict."""

    def send_bulk(
        self, mailing: Mailing, batch_number: int, entries: Sequence[BulkEntry]
    ) -> list[Verdict]: ...

    def send_one(
        self, mailing: Mailing, batch_number: int, index: int, recipient: Recipient
    ) -> Verdict: ...


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
    unrenderable: Mapping[int, str]
    """Recipients for whom no mail can be made, and why."""
    deliver: Callable[[], Mapping[int, Verdict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Sends the recipients of one campaign through one carrier."""

    account: AccountName
    mode: Literal["auto", "bulk", "single"]
    mailing: Mailing
    carrier: Carrier
    rest: BulkRest
    calls: CallPool
    bulk_call_size: int
    bulk_call_bytes: int

    def bulk(self) -> bool:
        """Whether the next call is a SendBulkEmail."""
        if self.mode == "auto":
            return not self.rest.on(self.account)
        return self.mode == "bulk"

    def call_size(self) -> int:
        """Return the most recipients that one call takes."""
        # No more is written as `sending` than can really leave now.
        return self.bulk_call_size if self.bulk() else min(_SINGLE_CHUNK, self.calls.free())

    def heed(self, verdicts: Mapping[int, Verdict]) -> None:
        """Go over to SendEmail for a while when SES throttles SendBulkEmail itself."""
        if any(verdict.kind is Kind.BULK_THROTTLED for verdict in verdicts.values()):
            self.rest.begin(self.account)

    def prepare(
        self, batch_number: int, recipients: Sequence[tuple[int, Recipient]], *, bulk: bool
    ) -> Call:
        """Make one call of the first recipients that fit; render nothing twice."""
        if bulk:
            return self._bulk_call(batch_number, recipients)
        return self._single_call(batch_number, dict(recipients), {})

    def _bulk_call(self, number: int, recipients: Sequence[tuple[int, Recipient]]) -> Call:
        entries: list[BulkEntry] = []
        large: dict[int, Recipient] = {}
        unrenderable: dict[int, str] = {}
        room = self.bulk_call_bytes - self.mailing.template_size
        for index, recipient in recipients:
            try:
                entry = self.mailing.bulk_entry(index, recipient)
            except UnrenderableError as fault:
                unrenderable[index] = str(fault)
            except TooLargeForBulkError:
                large[index] = recipient
            else:
                if entries and entry.size > room:
                    break
                room -= entry.size
                entries.append(entry)
        if not entries:
            return self._single_call(number, large, unrenderable)
        # What is too large for an entry waits for a call of its own.
        return Call(
            indexes=tuple(entry.index for entry in entries),
            unrenderable=unrenderable,
            deliver=lambda: self._deliver_bulk(number, entries, dict(recipients)),
        )

    def _deliver_bulk(
        self, number: int, entries: Sequence[BulkEntry], recipients: Mapping[int, Recipient]
    ) -> Mapping[int, Verdict]:
        answers = self.carrier.send_bulk(self.mailing, number, entries)
        verdicts = {entry.index: answer for entry, answer in zip(entries, answers, strict=True)}
        alone = [at for at, verdict in verdicts.items() if verdict.kind is Kind.ONE_BY_ONE]
        return verdicts | self._deliver_singly(number, {at: recipients[at] for at in alone})

    def _single_call(
        self, number: int, recipients: Mapping[int, Recipient], unrenderable: Mapping[int, str]
    ) -> Call:
        return Call(
            indexes=tuple(recipients),
            unrenderable=unrenderable,
            deliver=lambda: self._deliver_singly(number, recipients),
        )

    def _deliver_singly(
        self, number: int, recipients: Mapping[int, Recipient]
    ) -> dict[int, Verdict]:
        def one(item: tuple[int, Recipient]) -> Verdict:
            return self.carrier.send_one(self.mailing, number, *item)

        return dict(zip(recipients, self.calls.run(one, list(recipients.items())), strict=True))
