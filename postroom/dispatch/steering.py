"""Pauses, resumes and cancels campaigns, and tells dispatch of it."""

from typing import Final

from postroom.broker.publish import Publisher
from postroom.dispatch.accounts import AccountControl
from postroom.dispatch.finishing import Finishing
from postroom.errors import RefusedError
from postroom.ids import Place, is_segment, place_of
from postroom.model import CampaignId
from postroom.store.dispatch import Dispatch


class Steering:
    """What `Postroom` does to a campaign that is under way; see there for the contracts."""

    def __init__(
        self,
        finishing: Finishing,
        dispatch: Dispatch,
        accounts: AccountControl,
        publisher: Publisher,
    ) -> None:
        self._finishing: Final = finishing
        self._campaigns: Final = finishing.campaigns
        self._dispatch: Final = dispatch
        self._accounts: Final = accounts
        self._publisher: Final = publisher

    def pause(self, campaign_id: CampaignId, *, by: str) -> None:
        _refuse_message(campaign_id, "pause")
        self._campaigns.pause(campaign_id, by=by)
        self._dispatch.drop(campaign_id)

    def resume(self, campaign_id: CampaignId, *, by: str) -> None:
        place = place_of(campaign_id)
        if isinstance(place, Place):
            campaign_id = place.segment
        info = self._campaigns.info(campaign_id)
        route = info.route(campaign_id)
        # The account first: a worker could take the campaign before the account is let go.
        if route and not info.over:
            self._accounts.resume_halted(route.account, by=by)
        self._campaigns.resume(campaign_id, by=by)
        if route:
            self._dispatch.wake(route)
        if not info.split:
            self._publisher.split(campaign_id)

    def cancel(self, campaign_id: CampaignId, *, by: str) -> None:
        _refuse_message(campaign_id, "cancel")
        self._campaigns.cancel(campaign_id, by=by)
        self._dispatch.drop(campaign_id)
        self._campaigns.close_pending(campaign_id)
        self._finishing.tell(campaign_id)


def _refuse_message(message: CampaignId, what: str) -> None:
    """Raise `RefusedError` for messages: they leave within a second, or wait for their account."""
    if place_of(message) or is_segment(message):
        raise RefusedError(f"cannot {what} message {message}: pause its account, to hold it back")
