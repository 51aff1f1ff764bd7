"""Whose turn it is: campaigns wait here, and only the few batches that the workers have room
for are released to the broker.

All of it is a hint that can be rebuilt: whether a campaign may send, and which of its batches
are due, is decided in the campaign's own records.

`turns` (an account and lane): campaign -> recipients sent for its weight · `hold`: nothing goes
before it expires · `routes`: campaign -> account|lane|weight|batch size · `asleep`: campaign ->
when it is woken · `wakes`: campaign -> number of its last wake · `clocks`: where the turns stand ·
`lanes`: every account|lane · `out:LANE`: released batches -> when they count no more ·
`slots:LANE`: worker -> slots|when that lapses|accounts · `workers`: see presence.py ·
`limits`: account|lane -> most batches out.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import uuid4

from postroom.model import AccountName, BatchRef, CampaignId, Lane
from postroom.settings import Settings
from postroom.store import presence
from postroom.store.connection import Store
from postroom.store.handed_out import RECORDS, DueBatches, Route, Turn, leaving, resting

__all__ = ["SES_FAILS", "Dispatch", "DueBatches", "Route", "Turn"]

_TICKET_SECONDS: Final = 10
_LONGEST_REST_MS: Final = 5_000
_SLOTS_SECONDS: Final = 10

_UNTOLD: Final = presence.About()

SES_FAILS: Final = "SES fails"
"""Begins the reason of a hold in an outage of SES; `doctor` tells of these."""


class Dispatch:
    """The turns of all campaigns."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """A released batch that nobody ended counts as out for the length of a lease."""
        self._longest_hold: Final = 2 * settings.limiter.refresh_seconds
        self._store: Final = store
        self._window: Final = settings.dispatch.window
        self._grace: Final = settings.dispatch.grace_seconds
        self._out: Final = max(1, round(settings.worker.lease_seconds))

    def wake(self, route: Route) -> None:
        """Put a campaign in line: it has batches that may go. Safe to repeat."""
        account_lane = f"{route.account}|{route.lane}"
        self._store.ask(lambda client: client.sadd(self._key("lanes"), account_lane))
        self._store.run(
            "wake_campaign",
            [self._turns(route.account, route.lane), *self._records()],
            [
                route.campaign_id,
                f"{account_lane}|{route.weight:.6f}|{route.batch_size}",
                account_lane,
            ],
        )

    def drop(self, campaign_id: CampaignId, account: AccountName, lane: Lane) -> None:
        """Take a campaign out of the line, until it is woken."""
        self._store.run(*leaving(self._store.keys, campaign_id, account, lane))

    def limit(self, account: AccountName, lane: Lane, most: int) -> None:
        """Let at most so many batches of an account and lane be out at once."""
        field = f"{account}|{lane}"
        self._store.ask(lambda client: client.hset(self._key("limits"), field, most))

    def pick(
        self,
        account: AccountName,
        lane: Lane,
        *,
        at_most: int = 0,
        but: Collection[CampaignId] = (),
    ) -> list[Turn]:
        """Take room at the workers for the campaigns whose turn it is; all room, or so much.

        Those that the caller cannot send itself (`but`) keep their turn.
        """
        flat = self._store.run(
            "pick_turns",
            [
                self._turns(account, lane),
                self._store.keys.turns(account, lane).hold,
                self._key(f"out:{lane}"),
                self._key(f"slots:{lane}"),
                self._key("routes"),
                self._key("wakes"),
                self._key("clocks"),
                self._key("limits"),
            ],
            [f"{account}|{lane}", self._window, uuid4().hex[:12], _TICKET_SECONDS, at_most, *but],
        )
        tickets: dict[CampaignId, list[str]] = {}
        wakes: dict[CampaignId, str] = {}
        for at in range(0, len(flat), 3):
            campaign_id = CampaignId(flat[at].decode())
            tickets.setdefault(campaign_id, []).append(flat[at + 1].decode())
            wakes[campaign_id] = flat[at + 2].decode()
        return [
            Turn(campaign_id=one, tickets=tuple(held), wakes=wakes[one])
            for one, held in tickets.items()
        ]

    def release(self, turn: Turn) -> DueBatches:
        """Pick the batches of one turn; each is looked at again after a grace."""
        keys = self._store.keys.campaign(turn.campaign_id)
        next_ms, name, *numbers = self._store.run(
            "release_batches", [keys.campaign, keys.due], [len(turn.tickets), self._grace]
        )
        due = tuple(map(int, numbers))
        return DueBatches(numbers=due, next_ms=int(next_ms), name=name.decode())

    def place(self, route: Route | None, turn: Turn, due: DueBatches, lane: Lane) -> None:
        """Say which tickets became batches; let a campaign with nothing due rest."""
        members = [route.member(number) for number in due.numbers] if route else []
        members += [""] * (len(turn.tickets) - len(members))
        pairs = [part for pair in zip(turn.tickets, members, strict=True) for part in pair]
        self._store.run("place_out", [self._key(f"out:{lane}")], [self._out, *pairs])
        if len(due.numbers) < len(turn.tickets):
            account = AccountName(turn.tickets[0].split("|")[0])
            rest = due.next_ms if due.next_ms < 0 else min(due.next_ms, _LONGEST_REST_MS)
            keys, one, wakes = self._store.keys, turn.campaign_id, turn.wakes
            self._store.run(*resting(keys, one, account, lane, wakes=wakes, rest_ms=rest))

    def began(self, route: Route, ref: BatchRef) -> None:
        """A batch is taken up: it is out, also when its message came twice or very late."""
        member = route.member(ref.number)
        self._store.run("begin_turn", self._turn_keys(route), [member, ref.campaign_id, self._out])

    def ended(self, route: Route, ref: BatchRef, *, sent: int) -> None:
        """A released batch has come back, after `sent` recipients."""
        member = route.member(ref.number)
        self._store.run("end_turn", self._turn_keys(route), [member, ref.campaign_id, sent])

    def hold(self, account: AccountName, lane: Lane, *, seconds: float, reason: str) -> None:
        """Release nothing of an account and lane for so long.

        Somebody looks again after two readings of the account: a hold that was written just
        after `let_go`, by whoever had not heard yet, ends by itself. `held` tells the real end.
        """
        key = self._store.keys.turns(account, lane).hold
        until, stands = self._store.seconds() + seconds, self.held(account, lane)
        if stands and stands[1] > until:
            return  # One answer an account: what it waits for longer is still to come.
        stored = f"{until:.3f}|{reason}"
        lasts_ms = max(1, int(min(seconds, self._longest_hold) * 1000))
        self._store.ask(lambda client: client.set(key, stored, px=lasts_ms))

    def release_hold(self, account: AccountName) -> None:
        """End what holds an account: it may send more than before."""
        keys = [self._store.keys.turns(account, lane).hold for lane in Lane]
        self._store.ask(lambda client: [client.delete(key) for key in keys])

    def held(self, account: AccountName, lane: Lane) -> tuple[str, float] | None:
        """Return why nothing of an account and lane goes, and until when (Unix seconds)."""
        key = self._store.keys.turns(account, lane).hold
        stored: bytes | None = self._store.ask(lambda client: client.get(key))
        if stored is None:
            return None
        until, _, reason = stored.decode().partition("|")
        return reason, float(until)

    def waiting(self, account: AccountName, lane: Lane) -> int:
        """Count the campaigns in line, each message being one of its own."""
        key = self._turns(account, lane)
        return int(self._store.ask(lambda client: client.zcard(key)))

    def announce(
        self,
        worker: str,
        slots: Mapping[Lane, int],
        *,
        serving: Collection[AccountName] | None = None,
        accounts: Collection[AccountName] = (),
        troubles: Sequence[presence.Trouble] = (),
        about: presence.About = _UNTOLD,
    ) -> None:
        """Say how many batches a worker can send at once; holds for some seconds.

        `serving` are the accounts that it sends for now (None: any), `accounts` those in its
        settings, `troubles` what keeps it from the others, `about` what else there is to know of
        it. One round trip.
        """
        keys = [self._key("workers"), *(self._key(f"slots:{lane}") for lane in slots)]
        told = presence.told(serving, accounts, troubles, about)
        self._store.run(
            "announce_worker",
            keys,
            [worker, _SLOTS_SECONDS, presence.served(serving), told, *slots.values()],
        )

    def retire(self, worker: str) -> None:
        """A worker takes no more batches."""
        keys = [self._key("workers"), *(self._key(f"slots:{lane}") for lane in Lane)]
        self._store.ask(lambda client: [client.hdel(key, worker) for key in keys])

    def sleepers(self) -> list[Route]:
        """Campaigns whose rest is over."""
        now = self._store.seconds()
        ids: list[bytes] = self._store.ask(
            lambda client: client.zrangebyscore(self._key("asleep"), "-inf", now)
        )
        return [route for one in ids if (route := self.route(CampaignId(one.decode())))]

    def route(self, campaign_id: CampaignId) -> Route | None:
        """Return how a campaign's batches reach the workers; None when it is not in line."""
        stored: bytes | None = self._store.ask(
            lambda client: client.hget(self._key("routes"), campaign_id)
        )
        if stored is None:
            return None
        account, lane, weight, size = stored.decode().split("|")
        return Route(
            campaign_id=campaign_id,
            account=AccountName(account),
            lane=Lane(lane),
            weight=float(weight),
            batch_size=int(size),
        )

    def lanes(self) -> Sequence[tuple[AccountName, Lane]]:
        """Every account and lane that ever had work, transactional first."""
        members: set[bytes] = self._store.ask(lambda client: client.smembers(self._key("lanes")))
        pairs = [one.decode().split("|") for one in members]
        order = {Lane.TRANSACTIONAL: 0, Lane.BULK: 1}
        return sorted(
            ((AccountName(account), Lane(lane)) for account, lane in pairs),
            key=lambda pair: (order[pair[1]], pair[0]),
        )

    def _turn_keys(self, route: Route) -> list[str]:
        turns = self._turns(route.account, route.lane)
        return [self._key(f"out:{route.lane}"), turns, self._key("routes")]

    def _turns(self, account: AccountName, lane: Lane) -> str:
        return self._store.keys.turns(account, lane).turns

    def _records(self) -> list[str]:
        return [self._key(name) for name in RECORDS]

    def _key(self, name: str) -> str:
        return self._store.keys.dispatch(name)
