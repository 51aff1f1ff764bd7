"""Every key on Redis. All keys of a campaign, an account or the dispatcher share a hash tag,
so that a script touches one slot.
"""

from dataclasses import dataclass

from postroom.ids import StreamId
from postroom.model import AccountName, CampaignId, Lane


@dataclass(frozen=True, slots=True)
class CampaignKeys:
    """The records of one mailing: a campaign, or a segment of a stream of messages."""

    campaign: str
    """Hash: the campaign as submitted, how it stands, its books, its log."""
    pages: str
    """Hash: number -> page of the recipients as submitted. Gone when the split is done."""
    batches: str
    """Hash: number -> recipients of one batch."""
    ledger: str
    """String: one byte a recipient, at batch number * batch size + index."""
    leases: str
    """Hash: batch number -> fence|until|owner|crashes|parks, for batches once claimed."""
    due: str
    """Sorted set: batch number -> when somebody must look at it again. Open batches only."""
    held: str
    """As `due`: batches that are held back until the source is read to its end."""
    reasons: str
    """Hash: why a recipient was rejected -> its number."""
    rows: str
    """List: the first thousand rows that were invalid or duplicate, as JSON."""
    extents: str
    """Hash, of a segment: number -> messages of one batch|ids of their contents, each with a comma.
    A batch of a segment is named by the position of its first message."""
    contents: str
    """Hash, of a segment: id -> a message's templates, id# -> how many batches need them."""
    marks: str
    """String, of a segment: 12 bytes a message, hash of its address and moment of its outcome."""

    def all(self) -> list[str]:
        return [
            self.campaign,
            self.pages,
            self.batches,
            self.ledger,
            self.leases,
            self.due,
            self.reasons,
            self.rows,
            self.held,
            self.extents,
            self.contents,
            self.marks,
        ]


@dataclass(frozen=True, slots=True)
class AccountKeys:
    """The budget of one account."""

    budget: str
    """Hash: rate, tokens, quota, what SES says, why the account is halted."""
    window: str
    """Hash: slice of the rolling window -> recipients sent in it."""
    line: str
    """Sorted set: who waits for tokens, in order."""
    asks: str
    """Hash: waiter -> recipients wanted|requests|when it was told to come back|weight|campaign."""
    finish_tags: str
    """Sorted set: campaign -> recipients granted, divided by its weight; for turns in the line."""
    grants: str
    """Hash: stamp of a grant -> its recipients, until it is settled."""
    totals: str
    """Hash: outcome:lane and calls:operation:result -> how many there ever were."""
    ring: str
    """String: the last hour in cells of ten seconds; see lua/shared/count_outcomes.lua."""
    log: str
    """Hash of one field, `log`: what happened to the account; see lua/shared/log_event.lua."""


@dataclass(frozen=True, slots=True)
class TurnKeys:
    """What stands in the way of one account and lane."""

    hold: str
    """String: nothing is released before this expires; until when, and why."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Builds every key under one prefix."""

    prefix: str

    def campaign(self, campaign_id: CampaignId) -> CampaignKeys:
        stream, _, segment = campaign_id.partition("-")
        tag = f"{self.prefix}{{{stream}}}:" + (f"{segment}:" if segment else "")
        return CampaignKeys(
            campaign=f"{tag}campaign",
            pages=f"{tag}pages",
            batches=f"{tag}batches",
            ledger=f"{tag}ledger",
            leases=f"{tag}leases",
            due=f"{tag}due",
            held=f"{tag}held",
            reasons=f"{tag}reasons",
            rows=f"{tag}rows",
            extents=f"{tag}extents",
            contents=f"{tag}contents",
            marks=f"{tag}marks",
        )

    def stream(self, stream: StreamId) -> str:
        """Hash: the open segment of each kind, the next one, counts of tokens.

        Beside it, in its slot, `tokens:...`: token -> segment|position|mark of what was sent; see
        append_messages.lua.
        """
        return f"{self.prefix}{{{stream}}}:stream"

    def account(self, account: AccountName) -> AccountKeys:
        tag = f"{self.prefix}{{account:{account}}}:"
        return AccountKeys(
            budget=f"{tag}budget",
            window=f"{tag}window",
            line=f"{tag}line",
            asks=f"{tag}asks",
            finish_tags=f"{tag}finish_tags",
            grants=f"{tag}grants",
            totals=f"{tag}totals",
            ring=f"{tag}ring",
            log=f"{tag}log",
        )

    def turns(self, account: AccountName, lane: Lane) -> TurnKeys:
        tag = f"{self.prefix}{{dispatch}}:{account}:{lane}:"
        return TurnKeys(hold=f"{tag}hold")

    def dispatch(self, name: str) -> str:
        """`line`, `routes`, `asleep`, ...: see store/dispatch.py."""
        return f"{self.prefix}{{dispatch}}:{name}"

    def accounts(self, name: str) -> str:
        """`identities`, `sections`: see store/aliases.py; `named`, `asked`: store/poll_lease.py."""
        return f"{self.prefix}{{accounts}}:{name}"

    @property
    def readings(self) -> str:
        """Sorted set: account -> when it is to be read from SES; see store/poll_lease.py."""
        return self.accounts("readings")

    def submitted(self, key: str) -> str:
        """Idempotency key of a submit -> campaign id."""
        return f"{self.prefix}submitted:{key}"

    @property
    def campaigns(self) -> str:
        """Sorted set: campaign id -> when it was created."""
        return f"{self.prefix}campaigns"

    @property
    def live(self) -> str:
        """Sorted set: mailing that is not over yet -> when the janitor looked at it last."""
        return f"{self.prefix}live"

    @property
    def streams(self) -> str:
        """Set: account|sender of every stream that ever had a message."""
        return f"{self.prefix}streams"

    @property
    def suppressed(self) -> str:
        """Hash: normalised address -> why it must never be mailed."""
        return f"{self.prefix}suppressed"

    @property
    def meanings(self) -> str:
        """Hash: sender -> what it means to the running processes; see announce_senders.lua."""
        return f"{self.prefix}meanings"

    @property
    def settings(self) -> str:
        """Hash: mark of all senders of one process -> what each of them means there."""
        return f"{self.prefix}settings"

    @property
    def senders(self) -> str:
        """Hash: sender -> its account, as the running producers and workers know them."""
        return f"{self.prefix}senders"

    @property
    def sender_addresses(self) -> str:
        """Hash: sender -> its From and Reply-To, as JSON, as the same processes know them."""
        return f"{self.prefix}sender_addresses"
