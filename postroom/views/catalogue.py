"""Finds campaigns: the newest, those of a name or a state, the one of a key."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from postroom.errors import BadInputError, UnknownCampaignError
from postroom.model import CampaignId, State, Status
from postroom.store.campaigns import Campaigns, Glance
from postroom.store.message_status import MessageReader
from postroom.store.status import StatusReader

LOOKED_AT: Final = 10_000
"""The newest so many campaigns are looked at, and none beyond them: fifty round trips."""
_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which campaigns are looked for; what is None does not matter."""

    after: datetime | None = None
    """Created at this moment or later."""
    state: State | None = None
    name: str | None = None
    """A part of the name; capitals make no difference."""
    key: str | None = None

    def __post_init__(self) -> None:
        if self.after is not None and self.after.utcoffset() is None:
            raise BadInputError(f"after: {self.after.isoformat()} has no time zone")

    def may_be(self, one: Glance) -> bool:
        """Whether a look at the campaign is worth it, by what costs nothing to know."""
        if self.name is not None and self.name.casefold() not in one.name.casefold():
            return False
        return self.state is None or one.ended is None or one.ended is self.state

    def is_met_by(self, status: Status) -> bool:
        """Whether it is looked for, though it was found without a look at the list."""
        named = self.name is None or self.name.casefold() in status.name.casefold()
        since = self.after is None or (status.created_at or 0.0) >= self.after.timestamp()
        return named and since and self.state in (None, status.state)


class Catalogue:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(
        self, campaigns: Campaigns, statuses: StatusReader, messages: MessageReader
    ) -> None:
        self._campaigns: Final = campaigns
        self._statuses: Final = statuses
        self._messages: Final = messages

    def find(self, search: Search, limit: int) -> list[Status]:
        """Return the newest `limit` of those that are looked for, newest first.

        Work is bounded by `limit` and `LOOKED_AT`; a key is looked up at once.
        """
        if search.key is not None and (placed := self._messages.named(search.key)):
            return [one for one in map(self._messages.status, placed) if search.is_met_by(one)]
        found: list[Status] = []
        gone: list[CampaignId] = []
        around = self._statuses.circumstances()
        for campaign_id in self._candidates(search):
            if len(found) >= limit:
                break
            try:
                status = self._statuses.read(campaign_id, around)
            except UnknownCampaignError:
                gone.append(campaign_id)
            else:
                found += [status] if search.is_met_by(status) else []
        self._campaigns.forget(gone)
        return found

    def _candidates(self, search: Search) -> Iterator[CampaignId]:
        if search.key is not None:
            named = self._campaigns.named(search.key)
            yield from [named] if named else []
            return
        since = search.after.timestamp() if search.after else 0.0
        seen: set[CampaignId] = set()  # What is submitted meanwhile moves the others on.
        for skip in range(0, LOOKED_AT, _AT_ONCE):
            page = self._campaigns.newest(_AT_ONCE, since=since, skip=skip)
            some = [one for one in page if one not in seen]
            seen.update(some)
            for one, glance in zip(some, self._campaigns.glances(some), strict=True):
                if search.may_be(glance):
                    yield one
            if len(page) < _AT_ONCE:
                return
