"""Campaigns that have been submitted: how they stand, and steering them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from postroom.errors import RefusedError, UnknownCampaignError
from postroom.model import AccountName, CampaignId, Lane, State
from postroom.settings import Store as StoreSettings
from postroom.store.connection import Store
from postroom.store.dispatch import Route
from postroom.store.finish import Finisher
from postroom.store.submit_keys import SubmitKeys

if TYPE_CHECKING:
    import redis

_SWEEP_BYTES: Final = 100_000
_SWEEP_BATCHES: Final = 2_000
_SAMPLE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchInfo:
    """What dispatch must know of a campaign."""

    account: AccountName
    """Empty until a producer has seen the campaign."""
    lane: Lane
    weight: float
    batch_size: int
    batches: int
    split: bool
    key: str
    send_at: float
    over: bool
    told: bool
    """Whether nobody waits for the task that says that it is over."""

    def route(self, campaign_id: CampaignId) -> Route | None:
        """Return how its batches reach the workers; None until a producer has seen it."""
        if not self.account:
            return None
        return Route(
            campaign_id=campaign_id,
            account=self.account,
            lane=self.lane,
            weight=self.weight,
            batch_size=self.batch_size,
            send_at=self.send_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What is known of a campaign without a look at its account."""

    name: str
    ended: State | None
    """How it ended; None while it may still be anything."""


class Campaigns:
    """Steers campaigns. Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store, settings: StoreSettings) -> None:
        self._store: Final = store
        self._retention: Final = settings.retention_seconds
        self._finisher: Final = Finisher(store, retention_seconds=settings.retention_seconds)

    def pause(self, campaign_id: CampaignId, *, by: str = "") -> None:
        """Stop sending within a second. Raises `RefusedError`, `UnknownCampaignError`."""
        self._steer(campaign_id, "pause", by=by)

    def resume(self, campaign_id: CampaignId, *, by: str = "") -> None:
        """End a pause or a halt. Raises `RefusedError`, `UnknownCampaignError`."""
        self._steer(campaign_id, "resume", by=by)

    def cancel(self, campaign_id: CampaignId, *, by: str = "") -> None:
        """Stop for good; `close_pending` does the books.

        Raises `RefusedError`, `UnknownCampaignError`.
        """
        self._steer(campaign_id, "cancel", by=by)

    def expire(self, campaign_id: CampaignId) -> None:
        """Stop for good because `not_after` has passed; `close_pending` does the books.

        Raises `RefusedError`, `UnknownCampaignError`.
        """
        self._steer(campaign_id, "expire")

    def close_pending(self, campaign_id: CampaignId) -> int:
        """Settle whoever is still pending in a cancelled or expired campaign; returns how many.

        Safe to repeat and to interrupt: whoever calls it again goes on.
        """
        info = self.info(campaign_id)
        at_once = max(1, min(_SWEEP_BATCHES, _SWEEP_BYTES // info.batch_size))
        closed, first, last = 0, 0, 0
        own = self._store.keys.campaign(campaign_id)
        keys = [own.campaign, own.ledger, own.due]
        while not last:
            now_closed, last = self._store.run("close_pending", keys, [first, at_once])
            closed += max(0, now_closed)
            first += at_once
        self._finisher.finish(campaign_id)
        self.retire(campaign_id)
        return closed

    def retire(self, campaign_id: CampaignId) -> bool:
        """Take a campaign that is over and told, or whose records are gone, off the live ones.

        Returns whether it was. Its idempotency key expires along with its records.
        """
        try:
            info = self.info(campaign_id)
        except UnknownCampaignError:
            info = None
        if info is not None and not (info.over and info.told):
            return False
        keys = self._store.keys
        if info is not None and info.key:
            SubmitKeys(self._store, keep_seconds=self._retention).end(
                info.key, campaign_id, seconds=self._retention
            )
        self._store.ask(lambda client: client.zrem(keys.live, campaign_id))
        return True

    def newest(self, limit: int, *, since: float = 0.0, skip: int = 0) -> list[CampaignId]:
        """Return the campaigns created last, newest first, but for the newest `skip`; some may
        have expired. `since` is in Unix seconds.
        """
        key = self._store.keys.campaigns
        found: Sequence[bytes] = self._store.ask(
            lambda client: client.zrevrangebyscore(key, "+inf", since, start=skip, num=limit)
        )
        return [CampaignId(member.decode()) for member in found]

    def glances(self, campaign_ids: Sequence[CampaignId]) -> list[Glance]:
        """Look at some campaigns in one round trip."""

        def read(client: "redis.Redis") -> list[list[bytes | None]]:
            pipeline = client.pipeline(transaction=False)
            for one in campaign_ids:
                own = self._store.keys.campaign(one).campaign
                pipeline.hmget(own, "name", "steer", "finished_at")
            return list(pipeline.execute())

        found: list[list[bytes | None]] = self._store.ask(read)
        return [_glance(*((value or b"").decode() for value in one)) for one in found]

    def named(self, key: str) -> CampaignId | None:
        """Return what an idempotency key names, sealed or not."""
        return SubmitKeys(self._store, keep_seconds=self._retention).named(key)

    def forget(self, campaign_ids: Sequence[CampaignId]) -> None:
        """Take campaigns whose records have expired off the list."""
        if campaign_ids:
            key = self._store.keys.campaigns
            self._store.ask(lambda client: client.zrem(key, *campaign_ids))

    def forget_expired(self) -> int:
        """Take some of those whose records have expired off the list; return how many.

        A bounded step, to be repeated: it looks at a hundred by lot, so that no place is kept.
        """
        key = self._store.keys.campaigns
        found: Sequence[bytes] = self._store.ask(lambda client: client.zrandmember(key, _SAMPLE))
        some = [CampaignId(member.decode()) for member in found]

        def read(client: "redis.Redis") -> list[int]:
            pipeline = client.pipeline(transaction=False)
            for one in some:
                pipeline.exists(self._store.keys.campaign(one).campaign)
            return list(pipeline.execute())

        there: list[int] = self._store.ask(read) if some else []
        gone = [one for one, exists in zip(some, there, strict=True) if not exists]
        self.forget(gone)
        return len(gone)

    def info(self, campaign_id: CampaignId) -> DispatchInfo:
        """Raises `UnknownCampaignError`."""
        key = self._store.keys.campaign(campaign_id).campaign
        names = ("account", "lane", "weight", "batch_size", "batches", "split", "key")
        ends = ("send_at", "finished_at", "on_finish", "told")
        found = self._store.ask(lambda client: client.hmget(key, *names, *ends))
        if found[3] is None:
            raise UnknownCampaignError(f"no campaign {campaign_id}")
        account, lane, weight, batch_size, batches, split, submit_key, *ended = (
            (value or b"").decode() for value in found
        )
        send_at, finished_at, on_finish, told = ended
        return DispatchInfo(
            account=AccountName(account),
            lane=Lane(lane or Lane.BULK),
            weight=float(weight or 1),
            batch_size=int(batch_size),
            batches=int(batches or 0),
            split=split == "1",
            key=submit_key,
            send_at=float(send_at or 0),
            over=bool(finished_at),
            told=bool(told) or not on_finish,
        )

    def _steer(self, campaign_id: CampaignId, action: str, *, by: str = "") -> None:
        key = self._store.keys.campaign(campaign_id).campaign
        answer = self._store.run("steer_campaign", [key], [action, by]).decode()
        if answer == "UNKNOWN":
            raise UnknownCampaignError(f"no campaign {campaign_id}")
        if answer != "STEERED":
            raise RefusedError(f"cannot {action} campaign {campaign_id}: {_WHY[answer]}")


def _glance(name: str, steer: str, finished_at: str) -> Glance:
    if not finished_at:
        return Glance(name=name, ended=None)
    stopped = steer in (State.CANCELLED, State.EXPIRED)
    return Glance(name=name, ended=State(steer) if stopped else State.FINISHED)


_WHY: Final = {
    "RECEIVING": "its recipients are still being received",
    "UNREADABLE": "it was never accepted; submit it again",
    "FINISHED": "it has finished",
    "CANCELLED": "it was cancelled",
    "EXPIRED": "it has expired: not_after has passed",
}
