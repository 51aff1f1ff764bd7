"""Messages in streams: each account and sender has one, in segments of some thousands.

A segment is a mailing as a campaign is: claims, calls, outcomes, janitor and retention know no
difference. What is its own is here: messages are appended, in one step with their tokens.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from postroom.content.entries import FORMAT
from postroom.ids import Place, StreamId, TokenPlace, segment_id, stream_id
from postroom.model import AccountName, CampaignId, Lane, OnAmbiguous, Outcome, SenderName
from postroom.settings import Store as StoreSettings
from postroom.store.connection import Store
from postroom.store.dispatch import Route
from postroom.wire import LEDGER

CALL: Final = 50
"""Messages of one batch: what one SendBulkEmail takes."""
_SEGMENT: Final = 5_000
_BATCH_BYTES: Final = 256 * 1024
_OPEN_SECONDS: Final = 3_600
"""A segment takes messages for so long: its records go a retention after its last outcome."""
_UNUSED_SECONDS: Final = 3_600
_TURNS: Final = 8
"""Tries to append: others may fill segments as fast as they are opened."""

_Answer = tuple[Literal["N", "K", "D"], str, int]
_answers: Final = msgspec.msgpack.Decoder(list[_Answer])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What the messages of one segment have in common."""

    account: AccountName
    sender: SenderName
    lane: Lane
    on_ambiguous: OnAmbiguous
    bound: str
    """What the sender means, as `Meaning.bound` writes it; empty: nobody has told."""
    meaning: str
    """The same in plain, for people."""

    @property
    def id(self) -> StreamId:
        return stream_id(self.account, self.sender)

    @property
    def which(self) -> str:
        return f"{self.lane}|{self.on_ambiguous}|{self.bound}"

    def route(self, segment: CampaignId) -> Route:
        """Return how the batches of a segment reach the workers."""
        return Route(
            campaign_id=segment,
            account=self.account,
            lane=self.lane,
            weight=1.0,
            batch_size=1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One message to be appended."""

    token: bytes
    """12 bytes: the same token again is the same message."""
    mark: bytes
    """6 bytes of a digest of what is sent, to tell another message under the same token."""
    content: str
    """Id of 12 characters."""
    address: bytes
    """8 bytes of a digest of the address."""
    entry: bytes

    def packed(self, *, suppressed: bool) -> bytes:
        """Return its argument of append_messages."""
        code = LEDGER[Outcome.SUPPRESSED if suppressed else Outcome.PENDING]
        head = self.token + self.mark + self.address
        return head + self.content.encode() + code + self.entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What became of one message."""

    id: CampaignId
    created: bool
    same: bool = True
    """False: its token named another message, and this is its id."""


class Streams:
    """Raises `StoreUnavailableError` when Redis is away: the same append may be repeated."""

    def __init__(self, store: Store, settings: StoreSettings) -> None:
        self._store: Final = store
        self._retention: Final = settings.message_retention_seconds

    def append(
        self,
        stream: Stream,
        messages: Sequence[Waiting],
        contents: Mapping[str, bytes],
        *,
        suppressed: Container[int] = (),
    ) -> tuple[list[Appended], CampaignId | None]:
        """Add up to 1,000 messages, each once for its token, in one step.

        Those at `suppressed` get no mail. Returns what became of each, and the segment to wake
        when batches of it were begun: who joins a batch that waits, leaves with it.
        """
        packed = [one.packed(suppressed=at in suppressed) for at, one in enumerate(messages)]
        sent: list[object] = [0]
        known = ""
        for _ in range(_TURNS):
            answer, *made = self._append(stream, known, packed, sent)
            if answer == b"APPENDED":
                return self._read(stream, *made)
            if answer == b"CONTENTS":
                flat = [part for pair in contents.items() for part in pair]
                sent = [len(contents), *flat]
            else:
                known = self._open(stream)
        raise AssertionError("segments fill up faster than they can be opened")

    def find(self, place: TokenPlace) -> Place | None:
        """Return where a message stands by its token; None when there is none."""
        return self.named(place.stream, place.token)

    def named(self, stream: StreamId, token: bytes) -> Place | None:
        """Return the message that a token names in a stream."""
        found = self._store.run(
            "find_token", [self._store.keys.stream(stream)], [token, self._retention]
        )
        if not found:
            return None
        segment, position = found.decode().split("|")
        return Place(segment_id(stream, segment), int(position))

    def all(self) -> list[StreamId]:
        """Return every stream that ever had a message: as many as there are senders."""
        members = self._store.ask(lambda client: client.smembers(self._store.keys.streams))
        return [StreamId(one.decode()) for one in sorted(members)]

    def _append(
        self, stream: Stream, known: str, packed: Sequence[object], contents: Sequence[object]
    ) -> list[Any]:
        answer: list[Any] = self._store.run(
            "append_messages",
            [self._store.keys.stream(stream.id)],
            [
                *(stream.which, known, _SEGMENT, CALL, _BATCH_BYTES, self._retention),
                *contents,
                *packed,
            ],
        )
        return answer

    def _read(
        self, stream: Stream, segment: bytes, begun: int, packed: bytes
    ) -> tuple[list[Appended], CampaignId | None]:
        made = [
            Appended(
                id=Place(segment_id(stream.id, number), position).message,
                created=kind == "N",
                same=kind != "D",
            )
            for kind, number, position in _answers.decode(packed)
        ]
        return made, segment_id(stream.id, segment.decode()) if begun else None

    def _open(self, stream: Stream) -> str:
        """Open the next segment, and have the janitor know of it before anything is in it."""
        record: dict[str, Any] = {
            "name": f"messages of {stream.sender}",
            "account": stream.account,
            "sender": stream.sender,
            "lane": stream.lane.value,
            "on_ambiguous": stream.on_ambiguous.value,
            "bound": stream.bound,
            "means": stream.meaning,
            "format": FORMAT,
            "retention": self._retention,
        }
        flat = [part for pair in record.items() for part in pair]
        number = self._store.run(
            "open_segment",
            [self._store.keys.stream(stream.id)],
            [stream.which, _OPEN_SECONDS, _UNUSED_SECONDS, *flat],
        )
        segment = segment_id(stream.id, number.decode())
        keys = self._store.keys
        self._store.ask(lambda client: client.sadd(keys.streams, stream.id))
        now = self._store.seconds()
        self._store.ask(lambda client: client.zadd(keys.live, {segment: now}, nx=True))
        return str(number.decode())
