"""How one message stands: its byte of the ledger, in the circumstances of its segment."""

import struct
from dataclasses import replace
from typing import Final

from postroom import wire
from postroom.content.entries import decode_entries
from postroom.errors import UnknownCampaignError
from postroom.ids import Place, TokenPlace, place_of, token_of
from postroom.model import CampaignId, Outcome, ReportRow, State, Status, Totals
from postroom.settings import Store as StoreSettings
from postroom.store.connection import Store
from postroom.store.status import StatusReader
from postroom.store.streams import Streams

_MARK: Final = struct.Struct(">8sI")
_OPEN: Final = (Outcome.PENDING, Outcome.SENDING)


class MessageReader:
    """Raises `UnknownCampaignError`, `StoreUnavailableError`."""

    def __init__(self, store: Store, settings: StoreSettings, statuses: StatusReader) -> None:
        self._store: Final = store
        self._streams: Final = Streams(store, settings)
        self._statuses: Final = statuses

    def place(self, message: CampaignId) -> Place | None:
        """Return where a message stands; None for the id of a campaign."""
        place = place_of(message)
        if isinstance(place, TokenPlace):
            found = self._streams.find(place)
            if found is None:
                raise UnknownCampaignError(f"no message {message}")
            return found
        return place

    def named(self, key: str) -> list[Place]:
        """Return the messages that an idempotency key names: one a sender at most."""
        token = token_of(key)
        found = (self._streams.named(stream, token) for stream in self._streams.all())
        return [place for place in found if place is not None]

    def status(self, place: Place) -> Status:
        """Return how a message stands, as a campaign of one."""
        code, mark = self._read(place)
        outcome = wire.outcome_of(code)
        segment = self._statuses.read(place.segment)
        _, moment = _MARK.unpack(mark)
        state, reason = (State.FINISHED, self._reason(place, code))
        if outcome in _OPEN:
            state, reason = segment.state, segment.reason
        return replace(
            segment,
            id=place.message,
            state=state,
            reason=reason,
            warning="",
            totals=Totals(total=1, **{outcome.value: 1}),
            achieved_rate=0.0,
            eta_seconds=None,
            started_at=None,
            finished_at=float(moment) if moment else None,
            created_at=None,
        )

    def report(self, place: Place) -> ReportRow:
        """Return the row of one message; its address is gone with its outcome, but for a digest."""
        code, mark = self._read(place)
        digest, _ = _MARK.unpack(mark)
        email = self._address(place) or f"#{digest.hex()}"
        return ReportRow(
            email=email, outcome=wire.outcome_of(code), reason=self._reason(place, code)
        )

    def _read(self, place: Place) -> tuple[int, bytes]:
        keys, at = self._store.keys.campaign(place.segment), place.position
        pipeline = self._store.client.pipeline(transaction=False)
        pipeline.getrange(keys.ledger, at, at)
        pipeline.getrange(keys.marks, at * _MARK.size, (at + 1) * _MARK.size - 1)
        code, mark = self._store.ask(lambda _: pipeline.execute())
        if not code or len(mark) != _MARK.size:
            raise UnknownCampaignError(f"no message {place.message}")
        return code[0], mark

    def _reason(self, place: Place, code: int) -> str:
        if wire.outcome_of(code) is not Outcome.REJECTED:
            return ""
        key = self._store.keys.campaign(place.segment).reasons
        numbered = self._store.ask(lambda client: client.hgetall(key))
        reasons = {int(number): reason.decode() for reason, number in numbered.items()}
        return str(reasons.get(code, ""))

    def _address(self, place: Place) -> str:
        """Return the address while its batch is open; n is the open batches of the segment."""
        keys = self._store.keys.campaign(place.segment)
        batches = self._store.ask(lambda client: client.hkeys(keys.extents))
        first = max((n for n in map(int, batches) if n <= place.position), default=None)
        if first is None:
            return ""
        lines = self._store.ask(lambda client: client.hget(keys.batches, str(first)))
        entries = decode_entries(lines or b"")
        at = place.position - first
        email: str = entries[at].email if at < len(entries) else ""
        return email
