"""Release batches to the workers: asked whenever a batch ends, work comes in, or time passes."""

from collections.abc import Collection, Sequence
from typing import Final

from postroom.broker.publish import Publisher
from postroom.model import AccountName, BatchRef, CampaignId
from postroom.store.connection import Step
from postroom.store.dispatch import Dispatch
from postroom.store.handed_out import Taken

_ROUNDS: Final = 8
"""A round that finds mailings with nothing due makes room for another; enough is enough."""

_FIRST_OF_EACH: Final = 2
"""Batches of one mailing that the first round asks for, and each round for four times as many:
most mailings have one, and 56 tickets for it cost Redis 2 ms."""


def release(dispatch: Dispatch, publisher: Publisher, *, after: Sequence[Step] = ()) -> int:
    """Fill the workers' room: transactional first, then by fair turns. Returns batches released.

    Safe to call by anybody at any time. One round trip when nothing can go, three a round when
    something can; `after` is done in the first of them. Raises `StoreUnavailableError`; what was
    picked by then is looked at again after its grace.
    """
    released = 0
    for number in range(_ROUNDS):
        turns = dispatch.pick(of_each=_FIRST_OF_EACH * 4**number, after=after)
        if not turns:
            break
        found = list(zip(turns, dispatch.release(*turns), strict=True))
        dispatch.place(found)
        for turn, due in found:
            refs = [BatchRef(campaign_id=turn.campaign_id, number=one) for one in due.numbers]
            publisher.batches(refs, turn.route.lane, due.name)
            released += len(refs)
        after = ()
    return released


def take_one(
    dispatch: Dispatch,
    *,
    serves: Collection[AccountName] | None,
    but: Collection[CampaignId] = (),
    after: Sequence[Step] = (),
) -> Taken | None:
    """Take the next batch for the caller itself; None when nothing is due or no room is left.

    Only of accounts that it `serves` (None: any), and of none of the campaigns that it cannot send
    (`but`). `after` is done before, in the same round trip; the batches of the chosen mailing are
    looked up in a second. Raises `StoreUnavailableError`; what was taken by then is looked at
    again after a lease.
    """
    for _ in range(_ROUNDS):
        turns = dispatch.pick(at_most=1, own=True, serves=serves, but=but, after=after)
        if not turns:
            return None
        [turn], [due] = turns, dispatch.release(*turns, own=True)
        if due.numbers:
            ref = BatchRef(campaign_id=turn.campaign_id, number=due.numbers[0])
            return Taken(route=turn.route, ref=ref, ticket=turn.tickets[0])
        after = dispatch.placing(turn, due)
    dispatch.do(after)
    return None
