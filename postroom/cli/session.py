"""A command's connection to Postroom, and what it tells about the quota."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from postroom import clock, settings
from postroom.cli.wording import count
from postroom.client import Postroom
from postroom.errors import StoreUnavailableError, UnknownCampaignError
from postroom.model import AccountName, CampaignId
from postroom.redis_url import without_password
from postroom.settings import Settings
from postroom.store.budget import Budget
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store

_QUOTA_SECONDS: Final = 1.0
_HINT: Final = "; POSTROOM_REDIS_URL is not set"


@contextmanager
def opened(loaded: Settings | None = None) -> Iterator[Postroom]:
    """The client over this process's settings. Says which Redis does not answer."""
    using = loaded or settings.load()
    try:
        with Postroom(settings=using) as post:
            yield post
    except StoreUnavailableError as error:
        hint = "" if settings.environment().get("POSTROOM_REDIS_URL") else _HINT
        where = without_password(using.redis.url)
        raise StoreUnavailableError(f"{error} ({where}{hint})") from None


class Quota:
    """Tells how much is left of the quota of a campaign's account; asks once a second at most."""

    def __init__(self, campaign_id: CampaignId, loaded: Settings | None = None) -> None:
        using = loaded or settings.load()
        self._store: Final = Store(using.redis)
        self._campaigns: Final = Campaigns(self._store, using.store)
        self._campaign_id: Final = campaign_id
        self._told = ""
        self._told_at = 0.0

    def left(self) -> str:
        """Empty while nobody knows."""
        if clock.now() - self._told_at >= _QUOTA_SECONDS:
            self._told, self._told_at = self._asked(), clock.now()
        return self._told

    def close(self) -> None:
        self._store.close()

    def _asked(self) -> str:
        try:
            account = self._campaigns.info(self._campaign_id).account
        except UnknownCampaignError:
            return ""
        return _left(Budget(self._store), account) if account else ""


def _left(budget: Budget, account: AccountName) -> str:
    status = budget.status(account)
    if not status.known:
        return ""
    if status.quota < 0:  # None, or SES has not told: a word on it reads as none left.
        return ""
    left = max(0.0, status.quota - status.used - status.foreign)
    return f"{count(left)} of {count(status.quota)} left of the quota"
