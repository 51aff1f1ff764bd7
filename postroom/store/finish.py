"""The end of a campaign: dated once nothing of it is open, and its records then expire."""

from typing import Final

from postroom.model import CampaignId
from postroom.store import submit_keys, turn_steps
from postroom.store.connection import Step, Store


class Finisher:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store, *, retention_seconds: int) -> None:
        self._store: Final = store
        self._retention: Final = retention_seconds

    def finish(self, campaign_id: CampaignId) -> bool:
        """Date the end of a campaign of which nothing is open. True when it is over.

        Then it leaves the line; and, unless a service must be told first, the live ones, and its
        key expires along with its records.
        Safe to ask at any time, and to repeat; what was interrupted the sweep repeats.
        """
        keys = self._store.keys.campaign(campaign_id)
        over, *facts = self._store.run("finish_campaign", keys.all(), [self._retention])
        if over:
            self._put_away(campaign_id, *(fact.decode() for fact in facts))
        return bool(over)

    def _put_away(
        self,
        campaign_id: CampaignId,
        account: str = "",
        _lane: str = "",
        key: str = "",
        waits: str = "",
    ) -> None:
        steps: list[Step] = []
        if account:
            steps.append(turn_steps.leaving(self._store.keys, campaign_id))
        if waits:  # A service is told first: it stays live and keeps its key until then.
            self._store.run_all(steps)
            return
        if key:
            own, lasts = self._store.keys.submitted(key), self._retention
            steps.append(submit_keys.touching(own, campaign_id, seconds=lasts, sealed=True))
        # Off the live ones last: until then the sweep would see to the rest.
        self._store.run_all(steps, remove=(self._store.keys.live, campaign_id))
