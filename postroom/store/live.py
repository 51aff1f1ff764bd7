"""Every campaign that is not over, as the janitor sees it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from postroom.errors import UnknownCampaignError
from postroom.model import AccountName, Campaign, CampaignId, Lane
from postroom.store.connection import Store
from postroom.store.dispatch import Route
from postroom.wire import decode_campaign

if TYPE_CHECKING:
    import redis

_FIELDS: Final = (
    *("batch_size", "account", "lane", "weight", "steer", "halted", "sealed_at"),
    *("split", "split_until", "not_after", "pending", "sending"),
)

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveCampaign:
    """What decides whether somebody must do something for a campaign."""

    id: CampaignId
    exists: bool
    sealed_at: float
    """0 while it is a draft."""
    route: Route | None
    """None until a producer has found the account of its sender."""
    steer: str
    halted: str
    """Why a person must act; empty when nobody must."""
    split: bool
    split_until: float
    """When the lease of its producer lapses; 0 when none has it."""
    not_after: float | None
    pending: int
    sending: int

    @property
    def may_send(self) -> bool:
        return not self.steer and not self.halted

    @property
    def over(self) -> bool:
        """Whether everything that ends a campaign is said, and only its books may be open."""
        return self.split or self.closing

    @property
    def closing(self) -> bool:
        return self.steer in ("cancelled", "expired")

    @property
    def goes_on(self) -> bool:
        """Whether there may still be somebody to mail, be it after a pause."""
        return not self.closing and (not self.split or self.open > 0)

    @property
    def awaits_split(self) -> bool:
        """Whether a producer is to cut it, or to go on with it."""
        return self.may_send and not self.split and self.sealed_at > 0

    @property
    def open(self) -> int:
        """Recipients who have no outcome yet."""
        return self.pending + self.sending


class Live:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    def campaigns(self) -> list[LiveCampaign]:
        return list(self.each())

    def each(self) -> Iterator[LiveCampaign]:
        """Yield all of them, some hundreds read at a time."""
        members: set[bytes] = self._store.ask(lambda client: client.smembers(self._store.keys.live))
        ids = sorted(CampaignId(one.decode()) for one in members)
        for at in range(0, len(ids), _AT_ONCE):
            yield from self._look(ids[at : at + _AT_ONCE])

    def campaign(self, campaign_id: CampaignId) -> Campaign:
        """Return a campaign as it was submitted.

        Raises `UnknownCampaignError`, and `NewerFormatError` when a newer Postroom wrote it.
        """
        return decode_campaign(self._field(campaign_id, "spec"))

    def account(self, campaign_id: CampaignId) -> AccountName:
        """Return the account that sends a campaign. Raises `UnknownCampaignError`."""
        return AccountName(self._field(campaign_id, "account").decode())

    def _field(self, campaign_id: CampaignId, name: str) -> bytes:
        key = self._store.keys.campaign(campaign_id).campaign
        stored: bytes | None = self._store.ask(lambda client: client.hget(key, name))
        if not stored:
            raise UnknownCampaignError(f"no campaign {campaign_id}")
        return stored

    def lapsed(self, campaign_id: CampaignId, *, most: int) -> list[int]:
        """Return batches whose time has come: lapsed leases among them."""
        due = self._store.keys.campaign(campaign_id).due
        now = self._store.seconds()
        found: list[bytes] = self._store.ask(
            lambda client: client.zrangebyscore(due, "(0", now, start=0, num=most)
        )
        return [int(number) for number in found]

    def is_live(self, campaign_id: CampaignId) -> bool:
        """Whether nobody has put a campaign away yet."""
        key = self._store.keys.live
        return bool(self._store.ask(lambda client: client.sismember(key, campaign_id)))

    def once(self, what: str, *, seconds: float) -> bool:
        """Whether the caller is the first to ask for `what` in so many seconds."""
        key = self._store.keys.dispatch(f"once:{what}")
        taken = self._store.ask(
            lambda client: client.set(key, "1", px=max(1, int(seconds * 1000)), nx=True)
        )
        return bool(taken)

    def _look(self, ids: Sequence[CampaignId]) -> list[LiveCampaign]:
        def read(client: "redis.Redis") -> list[list[bytes | None]]:
            pipeline = client.pipeline(transaction=False)
            for one in ids:
                pipeline.hmget(self._store.keys.campaign(one).campaign, _FIELDS)
            return list(pipeline.execute())

        return list(map(_live_campaign, ids, self._store.ask(read)))


def _live_campaign(campaign_id: CampaignId, found: Sequence[bytes | None]) -> LiveCampaign:
    has = {name: (value or b"").decode() for name, value in zip(_FIELDS, found, strict=True)}
    return LiveCampaign(
        id=campaign_id,
        exists=bool(has["batch_size"]),
        sealed_at=float(has["sealed_at"] or 0),
        route=_route(campaign_id, has),
        steer=has["steer"],
        halted=has["halted"],
        split=has["split"] == "1",
        split_until=float(has["split_until"] or 0),
        not_after=float(has["not_after"]) if has["not_after"] else None,
        pending=int(has["pending"] or 0),
        sending=int(has["sending"] or 0),
    )


def _route(campaign_id: CampaignId, has: dict[str, str]) -> Route | None:
    if not has["account"]:
        return None
    return Route(
        campaign_id=campaign_id,
        account=AccountName(has["account"]),
        lane=Lane(has["lane"]),
        weight=float(has["weight"] or 1),
        batch_size=int(has["batch_size"]),
    )
