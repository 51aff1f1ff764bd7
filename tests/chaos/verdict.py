"""The laws, counted at the local SES: what was promised, and what came of it."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from postroom.model import CampaignId, Outcome, State
from tests.chaos.rig import Rig

_TOLD = frozenset(
    {
        Outcome.REJECTED,
        Outcome.SUPPRESSED,
        Outcome.AMBIGUOUS,
        Outcome.CANCELLED,
        Outcome.EXPIRED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a campaign ended, by what the local SES accepted and by what the report says."""

    recipients: int
    accepted: int
    """Distinct recipients whose mail the local SES took."""
    lost: int
    """Neither accepted there nor reported as anything but accepted."""
    twice: int
    """Mails beyond the first to a recipient."""
    ambiguous: int
    ambiguous_accepted: int
    """Of the ambiguous, those whose mail the local SES had taken."""
    denied: int
    """Accepted there, and reported as something that says they were not."""
    balanced: bool
    finished: bool

    def broken(self, *, twice_at_most: int = 0) -> list[str]:
        """Return the laws that were broken."""
        laws = {
            "lost": self.lost == 0,
            "twice": self.twice <= twice_at_most,
            "denied": self.denied == 0,
            "the books do not balance": self.balanced,
            "not finished": self.finished,
        }
        return [law for law, held in laws.items() if not held]


def judge(rig: Rig, campaign_id: CampaignId, addresses: list[str]) -> Verdict:
    status = rig.post.status(campaign_id)
    taken = rig.accepted(campaign_id)
    told = {row.email: row.outcome for row in rig.post.report(campaign_id)}
    return Verdict(
        recipients=len(addresses),
        accepted=len(taken),
        lost=sum(one not in taken and told.get(one) not in _TOLD for one in addresses),
        twice=sum(taken.values()) - len(taken),
        ambiguous=status.totals.ambiguous,
        ambiguous_accepted=sum(told[one] is Outcome.AMBIGUOUS for one in taken),
        denied=sum(told[one] not in (Outcome.ACCEPTED, Outcome.AMBIGUOUS) for one in taken),
        balanced=status.totals.balanced and _as_told(status.totals, Counter(told.values())),
        finished=status.state is State.FINISHED,
    )


def _as_told(totals: Any, told: Counter[Outcome]) -> bool:
    return all(getattr(totals, outcome.value) == told[outcome] for outcome in Outcome)
