"""Whether this process means by a sender what the campaign is bound to.

Two workers may have the same names and other settings: one of a staging system, one that was
forgotten in a deployment. The one that means something else leaves the campaign to others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import structlog

from postroom.errors import WorkerUnfitError
from postroom.meaning import Meaning, difference
from postroom.model import AccountName, CampaignId, SenderName
from postroom.store.bindings import Bindings, Bound
from worker.fitness import Fitness

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What the senders mean to this process; its threads share it."""

    means: Mapping[SenderName, Meaning]
    records: Bindings
    fitness: Fitness
    number: Callable[[AccountName], str]
    """Number of the AWS account that this process sends by; empty where there is no telling."""

    def check(self, campaign_id: CampaignId, sender: SenderName, bound: str) -> None:
        """Raises `WorkerUnfitError` when the campaign is bound to another meaning than ours."""
        if not bound:
            return
        own = self.means.get(sender)
        if own and ":" in bound:
            own = msgspec.structs.replace(own, aws=self.number(AccountName(own.account)))
        if own is None or not own.fits(bound):
            raise self._other(own, self.records.bound(campaign_id))

    def unknown(self, campaign_id: CampaignId) -> WorkerUnfitError:
        """The settings of this process do not know the sender, or on another account."""
        bound = self.records.bound(campaign_id)
        return self._other(self.means.get(bound.sender), bound)

    def _other(self, own: Meaning | None, bound: Bound) -> WorkerUnfitError:
        sender, account = bound.sender, bound.account
        told = difference(sender, own, bound.meaning) if bound.meaning else ""
        reason = told or f"the worker's settings know no sender {sender!r} on account {account!r}"
        # Who lacks the same sender, or the same meaning of it, has the same trouble.
        subject = SenderName(f"{sender}:{bound.mark}" if bound.mark else sender)
        if self.fitness.fails(account, reason, subject):
            log.error("worker.unfit", account=account, sender=sender, reason=reason)
        return WorkerUnfitError(reason, account=account, sender=subject)
