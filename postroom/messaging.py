"""What a service does with single messages through the client."""

from collections.abc import Mapping, Sequence
from typing import Any

from postroom.errors import PostroomError
from postroom.model import Message, Recipient, Submission
from postroom.outgoing import Outgoing, RawMessage
from postroom.parts import Parts


class Messaging:
    """Every method raises `StoreUnavailableError` when Redis is away: wait, then ask again."""

    _parts: Parts

    def send(
        self,
        sender: str,
        message: Message,
        recipient: Recipient | Mapping[str, Any] | str,
        *,
        key: str | None = None,
    ) -> Submission:
        """Send one message past all bulk work that waits. Returns when it is safely queued.

        `status` tells by the id of the answer what became of it; the same `key` again sends
        nothing. Raises `BadInputError`, and `RefusedError` as `submit` does.
        """
        return self._parts.messages.send(sender, message, recipient, key=key)

    def send_many(
        self, sender: str, messages: Sequence[Outgoing]
    ) -> Sequence[Submission | PostroomError]:
        """Send up to 1,000 messages as `send` does, in one round trip.

        Returns an answer for each, in their order: what `send` returns, or the error that it
        raises for this one. Raises `StoreUnavailableError` when nothing at all was taken in.
        """
        return self._parts.messages.send_many(sender, messages)

    def send_raw(self, message: RawMessage, *, key: str | None = None) -> Sequence[Submission]:
        """Send a whole mail as MIME past all bulk work; returns a message for each recipient.

        The same `key` again sends nothing. Raises as `send` does.
        """
        return self._parts.messages.send_raw(message, key=key)
