"""One batch in hand: what it belongs to, who of it is open, and how far its work has come."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from postroom.model import OnAmbiguous, OnFinish, Recipient, SenderName
from postroom.store.handed_out import Route
from postroom.store.ledger import Claim
from worker.sending.delivery import ALONE, Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledCampaign:
    """All that is needed to send for one mailing, a campaign or a segment of messages; compiled
    once a process.
    """

    sender: SenderName
    route: Route
    on_ambiguous: OnAmbiguous
    delivery: Delivery
    decode: Callable[[Claim], tuple[Recipient, ...]]
    """Reads the recipients of a batch. Raises `NewerFormatError`, `StoreUnavailableError`."""
    on_finish: OnFinish | None
    """Who waits for the end of the campaign."""


@dataclass(slots=True)
class Work:
    """One task's work on one batch."""

    claim: Claim
    owner: str
    compiled: CompiledCampaign
    recipients: tuple[Recipient, ...]
    open: list[int]
    sent: int = 0
    ended: str = ""
    rest_seconds: float = 0.0
    """What ended the work on it, for people, and how long it is left alone then."""
    due_seconds: float | None = None
    """When what is left of it is due; None: nothing is left, or its campaign may not send."""
    failures: int = 0
    """Calls in a row that brought nothing but faults of SES."""
    alone: set[int] = field(default_factory=set)
    """Recipients who go by SendEmail: bulk calls with them were refused, or have no room."""

    def next(self) -> list[int]:
        """Those who may go together, in their order: the first open one and others of its kind."""
        first = self._kind(self.open[0])
        return [index for index in self.open if self._kind(index) == first]

    def goes_alone(self, index: int) -> bool:
        """Whether no SendBulkEmail takes this one."""
        return self._kind(index) == ALONE

    def _kind(self, index: int) -> Hashable:
        if index in self.alone:
            return ALONE
        return self.compiled.delivery.mailings.kind(self.recipients[index])

    def is_late(self, index: int) -> bool:
        """Whether the time of a message is over. That of a campaign ends for all at once."""
        return self.compiled.delivery.mailings.is_late(self.recipients[index])
