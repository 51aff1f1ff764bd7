"""The lease under which one producer cuts a campaign into batches, and what it writes.

Everything that counts is one script: the batches, their ledger bytes, their places in `due` and
the counters. So the books balance however a producer dies, and whoever goes on skips as many
batches as are there: the cut depends on the order of the source alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from postroom import wire
from postroom.errors import LeaseLostError, NeedsPersonError, UnknownCampaignError
from postroom.meaning import Meaning, encoded
from postroom.model import AccountName, BadRow, Campaign, CampaignId, SenderName, Source
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.finish import Finisher


class SplitLostError(LeaseLostError):
    """Another producer has taken over, or the campaign is over: stop and write nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitLease:
    """One producer's right to split one campaign."""

    campaign_id: CampaignId
    fence: int
    batches: int
    """Written already, by producers before this one."""
    noted: int
    """Bad rows noted already."""
    digest: str
    """Marks the addresses in those batches, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Of the source so far."""

    invalid: int = 0
    duplicate: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Batches that follow each other, with everything that is entered together with them."""

    first: int
    batches: Sequence[bytes] = ()
    states: bytes = b""
    """A ledger byte for each of their recipients."""
    digest: str = ""
    """Marks all addresses up to the last of these batches."""
    counts: Counts = field(default_factory=Counts)
    notes: Sequence[BadRow] = ()


class Splits:
    """Raises `StoreUnavailableError` when Redis is away; each step may then be repeated."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store: Final = store
        self._lease_seconds: Final = settings.producer.lease_seconds
        self._max_crashes: Final = settings.producer.max_crashes
        self._finisher: Final = Finisher(store, retention_seconds=settings.store.retention_seconds)

    def look_up(self, campaign_id: CampaignId) -> tuple[SenderName, Source] | None:
        """Return the sender and the source of a campaign; None when there is no such campaign."""
        key = self._store.keys.campaign(campaign_id).campaign
        sender, source = self._store.ask(lambda client: client.hmget(key, "sender", "source"))
        if not source:
            return None
        return SenderName(sender.decode()), wire.decode_source(source)

    def campaign(self, campaign_id: CampaignId) -> Campaign:
        """Raises `UnknownCampaignError`."""
        key = self._store.keys.campaign(campaign_id).campaign
        spec = self._store.ask(lambda client: client.hget(key, "spec"))
        if not spec:
            raise UnknownCampaignError(f"no campaign {campaign_id}")
        return wire.decode_campaign(spec)

    def claim(
        self,
        campaign_id: CampaignId,
        *,
        owner: str,
        account: AccountName | None,
        means: Meaning | None = None,
    ) -> SplitLease | None:
        """Take the lease; None when another producer holds it or nothing is to be split.

        The first one binds the campaign to what its sender `means`, and to the account.
        Raises `NeedsPersonError` when too many died of it: the campaign is halted then.
        """
        keys = self._store.keys.campaign(campaign_id)
        why = f"the split was taken {self._max_crashes} times by producers that died of it"
        answer, *rest = self._store.run(
            "claim_split",
            [keys.campaign, keys.rows],
            [
                *(owner, self._lease_seconds, account or "", self._max_crashes, why),
                *(means.bound if means else "", encoded(means) if means else ""),
            ],
        )
        if answer == b"HALTED":
            raise NeedsPersonError(why)
        if answer != b"CLAIMED":
            return None
        fence, batches, noted, digest = rest
        return SplitLease(
            campaign_id=campaign_id,
            fence=fence,
            batches=batches,
            noted=noted,
            digest=digest.decode(),
        )

    def write(self, lease: SplitLease, written: Written, *, held_back: bool) -> None:
        """Store batches and enter them in the books; renews the lease.

        `held_back` batches are not due until `finish`. Raises `SplitLostError`.
        """
        keys = self._store.keys.campaign(lease.campaign_id)
        suppressed = written.states.count(b"x")
        counts = written.counts
        due = keys.held if held_back else keys.due
        answer = self._store.run(
            "write_batches",
            [keys.campaign, keys.batches, keys.ledger, due, keys.rows],
            [
                *(lease.fence, self._lease_seconds, written.first, len(written.batches)),
                *(written.states, suppressed),
                *(counts.invalid, counts.duplicate, counts.rows, written.digest),
                *written.batches,
                *map(wire.encode_bad_row, written.notes),
            ],
        )
        if answer != b"WRITTEN":
            raise SplitLostError(f"campaign {lease.campaign_id}: {answer.decode().lower()}")

    def renew(self, lease: SplitLease) -> None:
        """Show that this producer is alive. Raises `SplitLostError`."""
        self.write(lease, Written(first=0), held_back=False)

    def finish(self, lease: SplitLease, counts: Counts, notes: Sequence[BadRow]) -> bool:
        """The source is read, and what was held back is due.

        Returns whether the campaign is finished too. Raises `SplitLostError`.
        """
        keys = self._store.keys.campaign(lease.campaign_id)
        answer = self._store.run(
            "finish_split",
            [keys.campaign, keys.pages, keys.due, keys.rows, keys.held],
            [
                lease.fence,
                *(counts.invalid, counts.duplicate, counts.rows),
                *map(wire.encode_bad_row, notes),
            ],
        )
        if answer == b"LOST":
            raise SplitLostError(f"campaign {lease.campaign_id}: lost")
        return self._finisher.finish(lease.campaign_id)

    def leave(
        self,
        lease: SplitLease,
        *,
        halted: str = "",
        counts: Counts | None = None,
        notes: Sequence[BadRow] = (),
    ) -> bool:
        """Give the lease back; with a reason, halt the campaign, with what was counted by then.

        False: it was lost before.
        """
        keys = self._store.keys.campaign(lease.campaign_id)
        counted = (counts.invalid, counts.duplicate, counts.rows) if counts else ()
        told = map(wire.encode_bad_row, notes)
        answer = self._store.run(
            "leave_split", [keys.campaign, keys.rows], [lease.fence, halted, *counted, *told]
        )
        return bool(answer)

    def warn(self, lease: SplitLease, warning: str) -> None:
        """Keep what a person should know of the source; a lease that was lost changes nothing."""
        key = self._store.keys.campaign(lease.campaign_id).campaign
        self._store.run("warn_campaign", [key], [lease.fence, warning])

    def page(self, campaign_id: CampaignId, number: int) -> bytes | None:
        """Return one page of the recipients as the submitter shipped them."""
        key = self._store.keys.campaign(campaign_id).pages
        stored = self._store.ask(lambda client: client.hget(key, str(number)))
        return None if stored is None else wire.decode_page(stored)

    def pages(self, campaign_id: CampaignId) -> int:
        key = self._store.keys.campaign(campaign_id).campaign
        return int(self._store.ask(lambda client: client.hget(key, "pages")) or 0)
