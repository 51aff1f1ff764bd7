"""Takes messages in: checked, each once for its key, and safely on Redis."""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, Final

from postroom import clock
from postroom.broker.publish import Publisher
from postroom.content.checks import check_key
from postroom.dispatch.release import release
from postroom.errors import (
    BadInputError,
    MaybeSubmittedError,
    PostroomError,
    RefusedError,
    StoreRefusesError,
    StoreUnavailableError,
)
from postroom.ids import TOKEN_BYTES, TokenPlace, token_of
from postroom.meaning import encoded
from postroom.messages import raw
from postroom.messages.gathering import MOST, FollowUp, Gathering
from postroom.messages.known import KnownSenders
from postroom.messages.preparing import Contents, Prepared, recipient_of
from postroom.model import CampaignId, Lane, Message, OnAmbiguous, Recipient, SenderName, Submission
from postroom.outgoing import Outgoing, RawMessage
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.streams import Appended, Stream, Streams
from postroom.store.suppression import Suppression

_STREAMS: Final = 1024
_TRIES: Final = 2


class MessageSender:
    """What `Postroom.send` and `send_many` do; see there for the contracts. Threads share it."""

    def __init__(self, store: Store, settings: Settings, publisher: Publisher) -> None:
        self._publisher: Final = publisher
        self._raw_bytes: Final = settings.store.raw_message_bytes
        self._dispatch: Final = Dispatch(store, settings)
        self._suppression: Final = Suppression(store)
        self._streams: Final = Streams(store, settings.store)
        self._known: Final = KnownSenders(store, settings, clock.monotonic)
        self._contents: Final = Contents(self._known.senders)
        self._gatherings: Final = lru_cache(maxsize=_STREAMS)(self._gathering)

    def send(
        self,
        sender: str,
        message: Message,
        recipient: Recipient | Mapping[str, Any] | str,
        *,
        key: str | None = None,
    ) -> Submission:
        prepared = self._prepared(sender, Outgoing(message, recipient, key))
        [answer] = self._appended(self._stream(sender, message.on_ambiguous), [prepared])
        told = _told(answer, key)
        if isinstance(told, PostroomError):
            raise told
        return told

    def send_many(
        self, sender: str, messages: Sequence[Outgoing]
    ) -> list[Submission | PostroomError]:
        given = list(messages)
        if len(given) > MOST:
            raise BadInputError(f"send_many: {len(given)} messages; at most {MOST} at once")
        answers: list[Submission | PostroomError | None] = [None] * len(given)
        streams: dict[Stream, list[tuple[int, Prepared]]] = {}
        for at, one in enumerate(given):
            try:
                prepared = self._prepared(sender, one)
                stream = self._stream(sender, one.message.on_ambiguous)
            except BadInputError as error:
                answers[at] = error
            else:
                streams.setdefault(stream, []).append((at, prepared))
        for at, answer in self._each(streams):
            answers[at] = _told(answer, given[at].key)
        return [one for one in answers if one is not None]

    def _each(
        self, streams: Mapping[Stream, Sequence[tuple[int, Prepared]]]
    ) -> Iterator[tuple[int, Appended | PostroomError]]:
        """Append to one stream after the other. Raises `StoreUnavailableError` for the first."""
        made: Sequence[Appended | PostroomError] = ()
        for stream, own in streams.items():
            try:
                made = self._appended(stream, [prepared for _, prepared in own])
            except StoreUnavailableError as error:
                if not made:
                    raise
                made = [error] * len(own)
            for (at, _), answer in zip(own, made, strict=True):
                yield at, answer

    def send_raw(self, message: RawMessage, *, key: str | None = None) -> list[Submission]:
        token = self._token(key)
        prepared = raw.prepare(message, most_bytes=self._raw_bytes, token=token)
        self._known.check(message.sender)
        stream = self._stream(message.sender, message.on_ambiguous)
        told = [_told(one, key) for one in self._appended(stream, prepared)]
        for one in told:
            if isinstance(one, PostroomError):
                raise one
        return [one for one in told if isinstance(one, Submission)]

    def _prepared(self, sender: str, one: Outgoing) -> Prepared:
        if not isinstance(one, Outgoing):
            raise BadInputError(f"send_many: {type(one).__name__} is no Outgoing")
        token = self._token(one.key)
        recipient = recipient_of(one.recipient)
        return self._contents.prepare(sender, one.message, recipient, token)

    @staticmethod
    def _token(key: str | None) -> bytes:
        if key is None:
            return secrets.token_bytes(TOKEN_BYTES)
        check_key(key)
        return token_of(key)

    def _stream(self, sender: str, on_ambiguous: OnAmbiguous) -> Stream:
        if not isinstance(on_ambiguous, OnAmbiguous):
            raise BadInputError(f"on_ambiguous: {on_ambiguous!r} is neither SKIP nor RESEND")
        name = SenderName(sender)
        meaning = self._known.meaning_of(name)
        return Stream(
            account=self._known.senders()[name],
            sender=name,
            lane=Lane.TRANSACTIONAL,
            on_ambiguous=on_ambiguous,
            bound=meaning.bound if meaning else "",
            meaning=encoded(meaning).decode() if meaning else "",
        )

    def _gathering(self, stream: Stream, _pid: int) -> Gathering:
        """A forked child has its own: whoever led in the parent is no thread of it."""
        return Gathering(stream, self._append)

    def _appended(
        self, stream: Stream, messages: Sequence[Prepared]
    ) -> Sequence[Appended | MaybeSubmittedError]:
        """Append, along with others. Each message that is in doubt is named by its own token."""
        try:
            return self._gatherings(stream, os.getpid()).append(messages)
        except MaybeSubmittedError:
            places = (TokenPlace(stream.id, one.waiting.token) for one in messages)
            return [MaybeSubmittedError(place.message) for place in places]

    def _append(
        self, stream: Stream, messages: Sequence[Prepared]
    ) -> tuple[list[Appended], FollowUp]:
        """Append once and for all: a repeat after a lost reply finds what the first one did.

        Raises `StoreUnavailableError` when nothing was taken in, else `MaybeSubmittedError`.
        """
        suppressed = self._suppression.find([one.address for one in messages])
        contents = {one.content.id: one.content.record for one in messages}
        waiting = [one.waiting for one in messages]
        doubt = False
        for left in reversed(range(_TRIES)):
            try:
                answers, segment = self._streams.append(
                    stream, waiting, contents, suppressed=set(suppressed)
                )
                break
            except StoreUnavailableError as error:
                if isinstance(error, StoreRefusesError) and not doubt:
                    raise
                doubt = True
                if not left:
                    named = TokenPlace(stream.id, waiting[0].token).message
                    raise MaybeSubmittedError(named) from error
        return answers, partial(self._wake, stream, segment)

    def _wake(self, stream: Stream, segment: CampaignId | None) -> None:
        """Have the workers know. Where that fails, they find it: what is queued is safe."""
        if segment is not None:
            with suppress(StoreUnavailableError):
                self._dispatch.wake(stream.route(segment))
                release(self._dispatch, self._publisher)


def _told(answer: Appended | PostroomError, key: str | None) -> Submission | PostroomError:
    if isinstance(answer, PostroomError):
        return answer
    if not answer.same:
        return RefusedError(f"key {key!r}: it was used for another message, {answer.id}")
    return Submission(id=answer.id, created=answer.created)
