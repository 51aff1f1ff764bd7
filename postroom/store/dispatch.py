"""Whose turn it is: mailings wait here, and only the few batches that the workers have room for
are released to the broker. A mailing is whatever has batches: a campaign, or messages.

All of it is a hint that can be rebuilt: whether a mailing may send, and which of its batches are
due, is decided in its own records. Who cannot go is in no structure that is walked: a mailing
sleeps until its moment or is gone until it is woken, an account is held until its own.

Two floors, in one slot of Redis. `ready` (a lane): account -> seconds for which it has held slots ·
`held`: account|lane -> when it may go · `full` (a lane): accounts without room, until room is
reckoned · `spent`: account|lane -> those seconds, and where a lane stands.
`line`: account|lane|turn|mailing, in this order; a turn is recipients sent for the weight ·
`clocks`: mailing -> its turn, and account|lane -> where its turns stand · `asleep`: mailing ->
when it is woken · `routes`: mailing -> account|lane|weight|batch size · `wakes`: mailing -> its
last wake.
`out`, `going` (a lane): released batches -> when they count no more, and how many of each account
and mailing · `slots`, `room` (a lane): worker -> slots|when that lapses|accounts, and what they
add up to · `limits`: account|lane -> most batches out · `lanes`: account|lane that ever had work.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final
from uuid import uuid4

from postroom.model import AccountName, BatchRef, CampaignId, Lane
from postroom.settings import Settings
from postroom.store import presence, turn_steps
from postroom.store.connection import Step, Store
from postroom.store.handed_out import DueBatches, Route, Turn, read_turns

__all__ = ["SES_FAILS", "Dispatch", "DueBatches", "Route", "Turn"]

_TICKET_SECONDS: Final = 10
_SLOTS_SECONDS: Final = 10
MOST_TURNS: Final = 64
"""Turns that one script picks, and sleepers that one wakes: some milliseconds of Redis."""

_UNTOLD: Final = presence.About()

SES_FAILS: Final = "SES fails"
"""Begins the reason of a hold in an outage of SES; `doctor` tells of these."""


class Dispatch:
    """The turns of all mailings. Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """A released batch that nobody ended counts as out for the length of a lease."""
        self._longest_hold: Final = 2 * settings.limiter.refresh_seconds
        self._store: Final = store
        self._window: Final = settings.dispatch.window
        self._grace: Final = settings.dispatch.grace_seconds
        self._out: Final = max(1, round(settings.worker.lease_seconds))

    def wake(self, route: Route, *, within: float = 0.0) -> None:
        """Put a mailing in line: it has batches that may go. Safe to repeat.

        One that is scheduled, or has something to send `within` so many seconds, sleeps until then.
        """
        self._store.run_all([self.waking(route, within=within)])

    def waking(self, route: Route, *, within: float = 0.0) -> Step:
        """Return the step that `wake` is."""
        return turn_steps.waking(self._store.keys, route, within=within)

    def wake_sleepers(self) -> tuple[int, float | None]:
        """Put some of those in line whose moment has come; again while it returns any.

        Returns how many, and the seconds until the next moment, be it that of an account which is
        held; None: nobody is waited for.
        """
        step = turn_steps.waking(self._store.keys, None, sleepers=MOST_TURNS)
        [[woken, seconds]] = self._store.run_all([step])
        return int(woken), float(seconds) if seconds else None

    def drop(self, campaign_id: CampaignId) -> None:
        """Take a mailing out of the line, until it is woken."""
        self._store.run_all([turn_steps.leaving(self._store.keys, campaign_id)])

    def limit(self, account: AccountName, lane: Lane, most: int) -> None:
        """Let at most so many batches of an account and lane be out at once."""
        field = f"{account}|{lane}"
        self._store.ask(lambda client: client.hset(self._key("limits"), field, most))

    def pick(
        self,
        *,
        at_most: int = MOST_TURNS,
        of_each: int = MOST_TURNS,
        own: bool = False,
        serves: Collection[AccountName] | None = None,
        but: Collection[CampaignId] = (),
        after: Sequence[Step] = (),
    ) -> list[Turn]:
        """Take room at the workers for the mailings whose turn it is: all room, or so much, and no
        more than `of_each` for one of them.

        Of all accounts, or of those that the caller `serves`; mailings that it cannot send (`but`)
        keep their turn. One that takes batches for itself (`own`) ends their tickets; others place
        them. `after` is done before, in the same round trip.
        """
        step = turn_steps.picking(
            self._store.keys,
            window=self._window,
            ticket=uuid4().hex[:12],
            lives_seconds=self._out if own else _TICKET_SECONDS,
            at_most=min(at_most, MOST_TURNS),
            of_each=of_each,
            serves=serves,
            but=but,
        )
        return read_turns(self._store.run_all([*after, step])[-1])

    def release(self, *turns: Turn, own: bool = False) -> list[DueBatches]:
        """Pick the batches of some turns, in one round trip. Each is looked at again after a
        grace; after a lease where the caller sends it itself.
        """
        grace = self._out if own else self._grace
        steps: list[Step] = []
        for turn in turns:
            keys = self._store.keys.campaign(turn.campaign_id)
            steps.append(("release_batches", [keys.campaign, keys.due], [len(turn.tickets), grace]))
        return [
            DueBatches(numbers=tuple(map(int, due)), next_at=float(next_at), name=name.decode())
            for next_at, name, *due in self._store.run_all(steps)
        ]

    def do(self, steps: Sequence[Step]) -> None:
        """Do what `waking`, `ending` and `placing` returned, in one round trip."""
        if steps:
            self._store.run_all(steps)

    def place(self, released: Iterable[tuple[Turn, DueBatches]]) -> None:
        """Say which tickets became batches; let mailings with nothing due rest."""
        self.do([step for turn, due in released for step in self.placing(turn, due)])

    def placing(self, turn: Turn, due: DueBatches) -> list[Step]:
        """Return the steps that `place` is, for one turn."""
        members = [turn.route.member(number) for number in due.numbers]
        members += [""] * (len(turn.tickets) - len(members))
        pairs = [part for pair in zip(turn.tickets, members, strict=True) for part in pair]
        keys = self._store.keys
        steps = [turn_steps.placing(keys, turn.route.lane, self._out, pairs)]
        if len(due.numbers) < len(turn.tickets):
            one, until = turn.campaign_id, due.next_at
            steps.append(turn_steps.resting(keys, one, wakes=turn.wakes, until=until))
        return steps

    def began(self, route: Route, ref: BatchRef) -> None:
        """A batch is taken up: it is out, also when its message came twice or very late."""
        member = route.member(ref.number)
        self._store.run_all([turn_steps.beginning(self._store.keys, route, member, self._out)])

    def ended(self, route: Route, ref: BatchRef, *, sent: int) -> None:
        """A released batch has come back, after `sent` recipients."""
        self._store.run_all([self.ending(route, route.member(ref.number), sent=sent)])

    def ending(self, route: Route, member: str, *, sent: int) -> Step:
        """Return the step that `ended` is, for a batch or for the ticket of one."""
        return turn_steps.ending(self._store.keys, route, member, self._out, sent)

    def hold(self, account: AccountName, lane: Lane, *, seconds: float, reason: str) -> None:
        """Release nothing of an account and lane for so long.

        Somebody looks again after two readings of the account: a hold that was written just
        after `let_go`, by whoever had not heard yet, ends by itself. `held` tells the real end.
        """
        if seconds <= 0:
            return
        look = min(seconds, self._longest_hold)
        how = {"seconds": seconds, "look_seconds": look}
        keys = self._store.keys
        self._store.run_all([turn_steps.holding(keys, account, lane, reason=reason, **how)])

    def release_hold(self, account: AccountName) -> None:
        """End what holds an account: it may send more than before."""
        keys = self._store.keys
        self._store.run_all([turn_steps.holding(keys, account, lane) for lane in Lane])

    def held(self, account: AccountName, lane: Lane) -> tuple[str, float] | None:
        """Return why nothing of an account and lane goes, and until when (Unix seconds)."""
        key = self._store.keys.turns(account, lane).hold
        stored: bytes | None = self._store.ask(lambda client: client.get(key))
        if stored is None:
            return None
        until, _, reason = stored.decode().partition("|")
        return reason, float(until)

    def waiting(self, account: AccountName, lane: Lane) -> int:
        """Count the mailings in line."""
        first, last = f"[{account}|{lane}|", f"({account}|{lane}}}"
        key = self._key("line")
        return int(self._store.ask(lambda client: client.zlexcount(key, first, last)))

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
        keys = [self._key("workers")]
        for lane in slots:
            keys += [self._key(f"slots:{lane}"), self._key(f"room:{lane}")]
        told = presence.told(serving, accounts, troubles, about)
        self._store.run(
            "announce_worker",
            keys,
            [worker, _SLOTS_SECONDS, presence.served(serving), told, *slots.values()],
        )

    def retire(self, worker: str) -> None:
        """A worker takes no more batches."""
        keys = ["workers", *(f"slots:{lane}" for lane in Lane)]
        room = [self._key(f"room:{lane}") for lane in Lane]
        self._store.ask(
            lambda client: [
                *(client.hdel(self._key(key), worker) for key in keys),
                client.delete(*room),
            ]
        )

    def route(self, campaign_id: CampaignId) -> Route | None:
        """Return how its batches reach the workers; None when it neither is in line nor sleeps."""
        stored: bytes | None = self._store.ask(
            lambda client: client.hget(self._key("routes"), campaign_id)
        )
        return Route.read(campaign_id, stored.decode()) if stored else None

    def lanes(self) -> Sequence[tuple[AccountName, Lane]]:
        """Every account and lane that ever had work, transactional first."""
        members: set[bytes] = self._store.ask(lambda client: client.smembers(self._key("lanes")))
        pairs = [one.decode().split("|") for one in members]
        order = {Lane.TRANSACTIONAL: 0, Lane.BULK: 1}
        return sorted(
            ((AccountName(account), Lane(lane)) for account, lane in pairs),
            key=lambda pair: (order[pair[1]], pair[0]),
        )

    def _key(self, name: str) -> str:
        return self._store.keys.dispatch(name)
