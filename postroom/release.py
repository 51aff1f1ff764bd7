"""Release batches to the workers: asked whenever a batch ends, work comes in, or time passes."""

from typing import Final

from postroom.model import AccountName, BatchRef, Lane
from postroom.publish import Publisher
from postroom.store.dispatch import Dispatch, Turn

_ROUNDS: Final = 8
"""A round that finds campaigns with nothing due makes room for another; enough is enough."""


def release(dispatch: Dispatch, publisher: Publisher) -> int:
    """Fill the workers' room: transactional first, then by fair turns. Returns batches released.

    Safe to call by anybody at any time. Raises `StoreUnavailableError`; what was picked by then
    is looked at again after its grace.
    """
    return sum(_fill(dispatch, publisher, account, lane) for account, lane in dispatch.lanes())


def _fill(dispatch: Dispatch, publisher: Publisher, account: AccountName, lane: Lane) -> int:
    released = 0
    for _ in range(_ROUNDS):
        turns = dispatch.pick(account, lane)
        if not turns:
            break
        counts = [_take_turn(dispatch, publisher, turn, lane) for turn in turns]
        released += sum(counts)
        if all(count == len(turn.tickets) for count, turn in zip(counts, turns, strict=True)):
            break
    return released


def _take_turn(dispatch: Dispatch, publisher: Publisher, turn: Turn, lane: Lane) -> int:
    due = dispatch.release(turn)
    dispatch.place(dispatch.route(turn.campaign_id), turn, due, lane)
    refs = [BatchRef(campaign_id=turn.campaign_id, number=number) for number in due.numbers]
    publisher.batches(refs, lane)
    return len(refs)
