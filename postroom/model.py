"""The nouns: campaign, recipient, batch, outcome. Imports the standard library only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, NewType

CampaignId = NewType("CampaignId", str)
AccountName = NewType("AccountName", str)
SenderName = NewType("SenderName", str)

MAX_BATCH_SIZE: Final = 500


class Lane(StrEnum):
    TRANSACTIONAL = "transactional"
    BULK = "bulk"


class OnAmbiguous(StrEnum):
    """Which side to err on when a call broke after the request had left."""

    SKIP = "skip"
    RESEND = "resend"


class Outcome(StrEnum):
    """Where one recipient stands. Every recipient is in exactly one of these."""

    PENDING = "pending"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SUPPRESSED = "suppressed"
    AMBIGUOUS = "ambiguous"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class State(StrEnum):
    """Where one campaign stands. Derived from its records, never stored."""

    RECEIVING = "receiving"
    SPLITTING = "splitting"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    WAITING = "waiting"
    PAUSED = "paused"
    HALTED = "halted"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnFinish:
    """A Celery task of the service's own, published on the same broker when a campaign is over.

    Its arguments are the campaign's id, and a mapping with its end `state` and its `Totals`.
    """

    task: str
    queue: str
    prefix: str = ""
    """The `global_keyprefix` of the service's own Celery; plain Celery has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One mailing to many, as its author wrote it.

    `subject`, `html`, `text` and `unsubscribe_url` are Jinja2 templates over the recipient's
    merge fields and `email`; `defaults` holds values for fields that a recipient lacks. A blank
    value counts as lacking, save in the fields of `keep_blank`.
    """

    name: str
    sender: str
    """A name of the settings' `[senders]`."""
    subject: str
    html: str | None = None
    text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    keep_blank: Sequence[str] = ()
    unsubscribe_url: str | None = None
    send_at: datetime | None = None
    not_after: datetime | None = None
    on_ambiguous: OnAmbiguous = OnAmbiguous.SKIP
    batch_size: int = MAX_BATCH_SIZE
    lane: Lane = Lane.BULK
    weight: float = 1.0
    on_finish: OnFinish | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """One address as it was written, with its merge fields."""

    email: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One mail to one recipient: a password reset, a receipt. Templates as in a campaign."""

    subject: str
    html: str | None = None
    text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    keep_blank: Sequence[str] = ()
    not_after: datetime | None = None
    on_ambiguous: OnAmbiguous = OnAmbiguous.SKIP


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail as its reader gets it."""

    from_: str
    """As the sender's settings say; empty while no running producer or worker has told."""
    to: str
    reply_to: tuple[str, ...]
    subject: str
    html: str | None
    text: str | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRef:
    """Names one batch: all that a Celery message carries."""

    campaign_id: CampaignId
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Recipients of one campaign that one task sends; `index` counts from 0 within it."""

    ref: BatchRef
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The outcome of one recipient of a batch after a call, with the reason if it has one."""

    index: int
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The books of a campaign: `total` is the sum of the eight outcomes below it."""

    total: int = 0
    pending: int = 0
    sending: int = 0
    accepted: int = 0
    rejected: int = 0
    suppressed: int = 0
    ambiguous: int = 0
    cancelled: int = 0
    expired: int = 0
    invalid: int = 0
    duplicate: int = 0
    delivered: int = 0
    bounced: int = 0
    complained: int = 0

    @property
    def balanced(self) -> bool:
        """The law: every recipient who was read is in exactly one state."""
        parts: list[int] = [getattr(self, outcome.value) for outcome in Outcome]
        return self.total == sum(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One campaign at one moment. Times are Unix seconds; rates are recipients a second.

    `achieved_rate` is that of the last seconds, of one that is over that of the whole; 0.0 where
    that is too short to tell. `eta_seconds` is None where nobody knows when it goes on.
    """

    id: CampaignId
    name: str
    state: State
    reason: str
    warning: str = ""
    """What a person should know of the recipients, as they were read; hinders nothing."""
    totals: Totals
    achieved_rate: float
    allowed_rate: float | None
    eta_seconds: float | None
    started_at: float | None
    finished_at: float | None
    key: str = ""
    """The idempotency key it was submitted with; empty when with none."""
    created_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a campaign's recipients are read from."""

    url: str | None = None
    """`s3://bucket/key` or `file:///path`; None: the pages that the submitter shipped."""
    strict: bool = False
    """One bad row halts the campaign before anything is sent."""
    email_column: str | None = None
    """Which column or member is the address; None: `email`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What became of a submit."""

    id: CampaignId
    created: bool
    """False: the key was known, and this is the campaign it named. Nothing was sent anew."""
    same_content: bool = True
    """False: the key was known, but for a campaign that differs from this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One recipient of a campaign and where it stands."""

    email: str
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that nobody is mailed for: unreadable, or repeated."""

    row: int
    """As a spreadsheet counts: the header is row 1."""
    kind: Literal["invalid", "duplicate", "warning"]
    reason: str
