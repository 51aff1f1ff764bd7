"""Every campaign that is not over, as the janitor sees it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from postroom.errors import UnknownCampaignError
from postroom.model import AccountName, Campaign, CampaignId, Lane
from postroom.store.connection import Store
from postroom.store.dispatch import Route
from postroom.wire import decode_campaign

if TYPE_CHECKING:
    import redis

_FIELDS: Final = (
    *("batch_size", "account", "lane", "weight", "steer", "halted", "sealed_at"),
    *("split", "split_until", "send_at", "not_after", "pending", "sending", "open"),
)

_AT_ONCE: Final = 500

_LATE_SECONDS: Final = 1.0
"""Batches are put off and mailings put to sleep in two steps, so that they differ for a while."""


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
    in_line: bool
    """Whether the dispatcher knows it: it is in line, or sleeps."""
    wakes_at: float | None
    """When it sleeps no longer; None when it does not sleep."""
    due_at: float | None
    """When its first batch is due; None when it has none."""
    open_until: float
    """Until when a segment takes messages; 0 for a campaign."""

    @property
    def lost(self) -> bool:
        """Whether it may go and nobody will see to it in time: a wake was lost."""
        if not (self.may_send and self.open and self.route):
            return False
        if self.wakes_at is None or self.due_at is None:
            return not self.in_line
        return self.wakes_at > max(self.due_at, self.route.send_at) + _LATE_SECONDS

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
        """Return all of them; n may be tens of thousands."""
        return list(self.each())

    def each(self, *, most: int | None = None) -> Iterator[LiveCampaign]:
        """Yield those first that the janitor has not looked at for the longest; at most so many.

        Some hundreds are read at a time.
        """
        for page in self._pages(most):
            yield from self._look(page)

    def each_looked_at(self, *, now: float, most: int | None = None) -> Iterator[LiveCampaign]:
        """Yield them as `each` does, and note that they were looked at `now` (Unix seconds)."""
        for page in self._pages(most):
            yield from self._look(page)
            self._looked(dict.fromkeys(map(str, page), now))

    def _looked(self, seen: dict[str, float]) -> None:
        key = self._store.keys.live
        self._store.ask(lambda client: client.zadd(key, seen, xx=True))

    def begin_step(self, *, now: float) -> None:
        """Note, before a step of the janitor, whether it has been round since it began the last
        round: whether all were looked at since.
        """
        live, kept = self._store.keys.live, self._store.keys.dispatch("round")
        oldest, began = self._store.ask(
            lambda client: (client.zrange(live, 0, 0, withscores=True), client.hget(kept, "began"))
        )
        last = float(began or 0)
        if not oldest or oldest[0][1] >= last:
            took = f"{now - last:.3f}" if began else ""
            noted = ["began", f"{now:.6f}", "took", took]
            self._store.ask(lambda client: client.hset(kept, items=noted))

    def round_seconds(self) -> float | None:
        """Return how long the janitor's last full round took; None when it never went round."""
        kept = self._store.keys.dispatch("round")
        took: bytes | None = self._store.ask(lambda client: client.hget(kept, "took"))
        return float(took) if took else None

    def count(self) -> int:
        return int(self._store.ask(lambda client: client.zcard(self._store.keys.live)))

    def _pages(self, most: int | None) -> Iterator[list[CampaignId]]:
        key, last = self._store.keys.live, -1 if most is None else most - 1
        members: list[bytes] = self._store.ask(lambda client: client.zrange(key, 0, last))
        ids = [CampaignId(one.decode()) for one in members]
        for at in range(0, len(ids), _AT_ONCE):
            yield ids[at : at + _AT_ONCE]

    def submitted(self, campaign_id: CampaignId) -> tuple[Campaign, AccountName]:
        """Return a campaign as it was submitted, and the account that sends it.

        Raises `UnknownCampaignError`, and `NewerFormatError` when a newer Postroom wrote it.
        """
        key = self._store.keys.campaign(campaign_id).campaign
        spec, account = self._store.ask(lambda client: client.hmget(key, "spec", "account"))
        if not spec or not account:
            raise UnknownCampaignError(f"no campaign {campaign_id}")
        return decode_campaign(spec), AccountName(account.decode())

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
        return bool(self._store.ask(lambda client: client.zscore(key, campaign_id) is not None))

    def once(self, what: str, *, seconds: float) -> bool:
        """Whether the caller is the first to ask for `what` in so many seconds."""
        key = self._store.keys.dispatch(f"once:{what}")
        taken = self._store.ask(
            lambda client: client.set(key, "1", px=max(1, int(seconds * 1000)), nx=True)
        )
        return bool(taken)

    def _look(self, ids: Sequence[CampaignId]) -> list[LiveCampaign]:
        keys = self._store.keys

        def read(client: "redis.Redis") -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            pipeline.hmget(keys.dispatch("routes"), ids)
            pipeline.zmscore(keys.dispatch("asleep"), list[str](ids))
            for one in ids:
                own = keys.campaign(one)
                pipeline.hmget(own.campaign, _FIELDS)
                pipeline.zrange(own.due, 0, 0, withscores=True)
            return list(pipeline.execute())

        routes, asleep, *found = self._store.ask(read)
        return [
            _live_campaign(one, facts, first_due, in_line=bool(route), wakes_at=wakes_at)
            for one, route, wakes_at, facts, first_due in zip(
                ids, routes, asleep, found[::2], found[1::2], strict=True
            )
        ]


def _live_campaign(
    campaign_id: CampaignId,
    found: Sequence[bytes | None],
    first_due: Sequence[tuple[bytes, float]],
    *,
    in_line: bool,
    wakes_at: float | None,
) -> LiveCampaign:
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
        in_line=in_line,
        wakes_at=wakes_at,
        due_at=first_due[0][1] if first_due else None,
        open_until=float(has["open"] or 0),
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
        send_at=float(has["send_at"] or 0),
    )
