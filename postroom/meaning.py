"""What a sender's name means in the settings of one process, and how two meanings differ.

A campaign is bound to the meaning that its sender had when it was taken in: a process whose
settings mean something else by the same name must not send it.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from postroom.model import SenderName
from postroom.settings import Settings

_MARK: Final = 12
_WORDS: Final = {
    "from_": "From",
    "account": "account",
    "region": "Region",
    "reply_to": "reply-to",
    "configuration_set": "configuration set",
    "identity_arn": "identity",
    "aws": "AWS account",
}


class Change(NamedTuple):
    """One thing that two meanings of a sender differ in."""

    word: str
    new: str
    old: str


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides from whom and by which account a mail goes."""

    account: str
    region: str
    from_: str
    reply_to: tuple[str, ...] = ()
    configuration_set: str = ""
    identity_arn: str = ""
    aws: str = ""
    """Number of the AWS account, where it is known. No part of the mark: it is learnt later."""

    @property
    def mark(self) -> str:
        """Two processes with the same mark mean the same."""
        return _mark(msgspec.structs.replace(self, aws=""))

    @property
    def bound(self) -> str:
        """What a campaign is bound to: the mark, and the AWS account where it is known."""
        return f"{self.mark}:{self.aws}" if self.aws else self.mark

    def fits(self, bound: str) -> bool:
        """Whether a process that means this may send what is bound so; unbound: any may."""
        mark, _, aws = bound.partition(":")
        same_account = not (aws and self.aws) or aws == self.aws
        return not bound or (mark == self.mark and same_account)


def meanings(settings: Settings) -> dict[SenderName, Meaning]:
    """Return what each sender of the settings means."""
    return {
        SenderName(name): Meaning(
            account=sender.account,
            region=settings.accounts[sender.account].region,
            from_=sender.from_,
            reply_to=tuple(sender.reply_to),
            configuration_set=sender.configuration_set,
            identity_arn=sender.identity_arn,
        )
        for name, sender in settings.senders.items()
    }


def mark_of_all(means: Mapping[SenderName, Meaning]) -> str:
    """Return a mark that two processes share whose senders all mean the same."""
    return _mark(dict(sorted(means.items())))


def encoded(means: Meaning | Mapping[SenderName, Meaning]) -> bytes:
    return msgspec.json.encode(means)


def decoded(stored: bytes) -> Meaning:
    return msgspec.json.decode(stored, type=Meaning)


def decoded_all(stored: bytes) -> dict[SenderName, Meaning]:
    found: dict[str, Meaning] = msgspec.json.decode(stored, type=dict[str, Meaning])
    return {SenderName(name): meaning for name, meaning in found.items()}


def difference(sender: SenderName, own: Meaning | None, other: Meaning) -> str:
    """Tell in words what `own` has in place of `other`; empty when they are the same."""
    if own is None:
        return f"knows no sender {sender!r}"
    found = changes(own, other)
    if not found:
        return ""
    first, *_ = found
    parts = [
        f"{'' if one is first else f'{one.word} '}{one.new} instead of {one.old}" for one in found
    ]
    return f"has another {first.word} for {sender}: {'; '.join(parts)}"


def changes(new: Meaning, old: Meaning) -> list[Change]:
    """Return whatever differs, the From first. An AWS account that is not known does not."""
    return [
        Change(word=word, new=_shown(mine), old=_shown(theirs))
        for field, word in _WORDS.items()
        if (mine := getattr(new, field)) != (theirs := getattr(old, field))
        and (field != "aws" or (mine and theirs))
    ]


def _shown(value: object) -> str:
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return text or "none"


def _mark(value: object) -> str:
    return sha256(msgspec.json.encode(value)).hexdigest()[:_MARK]
