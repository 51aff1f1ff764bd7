"""Release batches to the workers: asked whenever a batch ends, work comes in, or time passes."""

import random
from collections.abc import Callable, Collection, Iterable
from typing import Final

from postroom.broker.publish import Publisher
from postroom.model import AccountName, BatchRef, CampaignId, Lane
from postroom.store.dispatch import Dispatch, DueBatches, Turn

_ROUNDS: Final = 8
"""A round that finds campaigns with nothing due makes room for another; enough is enough."""


def release(dispatch: Dispatch, publisher: Publisher) -> int:
    """Fill the workers' room: transactional first, then by fair turns. Returns batches released.

    Safe to call by anybody at any time. Raises `StoreUnavailableError`; what was picked by then
    is looked at again after its grace.
    """
    return sum(_fill(dispatch, publisher, account, lane) for account, lane in _by_lot(dispatch))


def take_one(
    dispatch: Dispatch,
    *,
    serves: Callable[[AccountName], bool],
    but: Collection[CampaignId] = (),
) -> BatchRef | None:
    """Take the next batch for the caller itself; None when nothing is due or no room is left.

    Only of accounts that it `serves`, and of none of the campaigns that it cannot send (`but`).
    Raises `StoreUnavailableError`; what was taken by then is looked at again after its grace.
    """
    for account, lane in _by_lot(dispatch):
        for _ in range(_ROUNDS if serves(account) else 0):
            turns = dispatch.pick(account, lane, at_most=1, but=but)
            if not turns:
                break
            if numbers := _released(dispatch, turns[0], lane).numbers:
                return BatchRef(campaign_id=turns[0].campaign_id, number=numbers[0])
    return None


def _by_lot(dispatch: Dispatch) -> Iterable[tuple[AccountName, Lane]]:
    """Transactional first; between accounts the lot decides, so that none gets all the room."""
    lot = random.random  # it spreads room, it guards nothing
    return sorted(dispatch.lanes(), key=lambda pair: (pair[1] is not Lane.TRANSACTIONAL, lot()))


def _fill(dispatch: Dispatch, publisher: Publisher, account: AccountName, lane: Lane) -> int:
    released = 0
    for _ in range(_ROUNDS):
        turns = dispatch.pick(account, lane)
        if not turns:
            break
        counts = []
        for turn in turns:
            due = _released(dispatch, turn, lane)
            refs = [BatchRef(campaign_id=turn.campaign_id, number=one) for one in due.numbers]
            publisher.batches(refs, lane, due.name)
            counts.append(len(refs))
        released += sum(counts)
        if all(count == len(turn.tickets) for count, turn in zip(counts, turns, strict=True)):
            break
    return released


def _released(dispatch: Dispatch, turn: Turn, lane: Lane) -> DueBatches:
    due = dispatch.release(turn)
    dispatch.place(dispatch.route(turn.campaign_id), turn, due, lane)
    return due
