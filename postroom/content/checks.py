"""What a campaign must be before a single recipient is taken in. One clear line for each fault."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

from postroom import wire
from postroom.content import template
from postroom.content.fields import names_of
from postroom.errors import BadInputError
from postroom.model import MAX_BATCH_SIZE, Campaign, Lane, OnAmbiguous, OnFinish

MAX_BYTES: Final = 40 * 1024 * 1024
_MAX_KEY: Final = 500
_BASE64_GROWTH: Final = 1.37
_MAX_HEADERS: Final = 15
_MAX_HEADER_CHARACTERS: Final = 996
# Within what six decimals show, and what a turn of the line can be reckoned with.
_MIN_WEIGHT: Final = 0.01
_MAX_WEIGHT: Final = 1000

# https://docs.aws.amazon.com/ses/latest/dg/header-fields.html
_REFUSED_HEADERS: Final = frozenset(
    (
        *("bcc", "cc", "content-disposition", "content-type", "date", "from", "message-id"),
        *("mime-version", "reply-to", "return-path", "subject", "to"),
    )
)
_OWN_HEADERS: Final = frozenset({"list-unsubscribe", "list-unsubscribe-post"})
_OWN_TAGS: Final = frozenset({"campaign", "batch", "index"})
_HEADER_NAME: Final = re.compile(r"[!-9;-@A-~]{1,126}")
_HEADER_VALUE: Final = re.compile(r"[ -~]{1,995}")
# Nothing that could be a key or a task of ours: the broker is the Redis that our records are on.
_TASK: Final = re.compile(r"(?!postroom\.)[A-Za-z_][\w.]{0,199}", re.ASCII)
_QUEUE: Final = re.compile(r"[\w.-]{1,100}", re.ASCII)
_PREFIX: Final = re.compile(r"(?!postroom)[\w.:-]{0,100}", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")


def check(campaign: Campaign, *, senders: Collection[str]) -> None:
    """Raise `BadInputError` for the first thing that SES or Postroom would not take."""
    _check_basics(campaign)
    _check_options(campaign)
    check_sender(campaign.sender, senders)
    _check_times(campaign)
    _check_on_finish(campaign.on_finish)
    _check_headers(campaign)
    check_tags(campaign.tags)
    _check_size(campaign)
    template.check(campaign)
    _check_kept(campaign)


def check_key(key: str) -> None:
    """Raise `BadInputError` for what is no idempotency key."""
    if not isinstance(key, str):
        raise BadInputError(f"key: {type(key).__name__} is no text")
    if not 0 < len(key) <= _MAX_KEY:
        raise BadInputError(f"key: it must have 1 to {_MAX_KEY} characters")


def _check_basics(campaign: Campaign) -> None:
    if not campaign.name.strip():
        raise BadInputError("name: it is empty")
    if not campaign.subject.strip():
        raise BadInputError("subject: it is empty")
    if "\n" in campaign.subject or "\r" in campaign.subject:
        raise BadInputError("subject: it has a line break")
    if not (campaign.html or campaign.text):
        raise BadInputError("html, text: one of the two is needed")


def _check_options(campaign: Campaign) -> None:
    if not isinstance(campaign.lane, Lane):
        raise BadInputError(f"lane: {campaign.lane!r} is none; use Lane.BULK or Lane.TRANSACTIONAL")
    if not isinstance(campaign.on_ambiguous, OnAmbiguous):
        raise BadInputError(f"on_ambiguous: {campaign.on_ambiguous!r} is neither SKIP nor RESEND")
    if not 1 <= campaign.batch_size <= MAX_BATCH_SIZE:
        raise BadInputError(f"batch_size: {campaign.batch_size} is not from 1 to {MAX_BATCH_SIZE}")
    if not _MIN_WEIGHT <= campaign.weight <= _MAX_WEIGHT:
        raise BadInputError(f"weight: {campaign.weight} is not from {_MIN_WEIGHT} to {_MAX_WEIGHT}")


def check_sender(sender: str, senders: Collection[str]) -> None:
    """Raise `BadInputError` for a sender that nobody knows."""
    if not senders:
        raise BadInputError(
            f"sender: nobody knows a sender yet, so not {sender!r}; start a producer whose "
            "settings have [senders.NAME], or point POSTROOM_CONFIG at such settings"
        )
    if not isinstance(sender, str) or sender not in senders:
        raise BadInputError(f"sender: {sender!r} is unknown; known: {', '.join(sorted(senders))}")


def _check_times(campaign: Campaign) -> None:
    for name, moment in (("send_at", campaign.send_at), ("not_after", campaign.not_after)):
        if isinstance(moment, datetime) and moment.utcoffset() is None:
            raise BadInputError(f"{name}: {moment.isoformat()} has no time zone")
    if campaign.send_at and campaign.not_after and campaign.send_at > campaign.not_after:
        raise BadInputError("send_at: it is after not_after, so nothing would ever be sent")


def _check_on_finish(wanted: OnFinish | None) -> None:
    if wanted is None:
        return
    if not isinstance(wanted, OnFinish):
        raise BadInputError("on_finish: give OnFinish(task=..., queue=...)")
    for name, text, form in (
        ("task", wanted.task, _TASK),
        ("queue", wanted.queue, _QUEUE),
        ("prefix", wanted.prefix, _PREFIX),
    ):
        if not form.fullmatch(text):
            raise BadInputError(f"on_finish: {text!r} is no name of a {name}")


def _check_kept(campaign: Campaign) -> None:
    if isinstance(campaign.keep_blank, str):
        raise BadInputError("keep_blank: it is a list of fields")
    names = names_of(campaign)
    for name in campaign.keep_blank:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise BadInputError(f"keep_blank: no template names {name!r}{meant}")


def _check_headers(campaign: Campaign) -> None:
    taken = _REFUSED_HEADERS | (_OWN_HEADERS if campaign.unsubscribe_url else frozenset())
    seen: set[str] = set()
    for name, value in campaign.headers.items():
        _check_header(name, value)
        if name.lower() in _OWN_HEADERS & taken:
            raise BadInputError(f"headers: {name}: unsubscribe_url makes this header; leave it out")
        if name.lower() in taken:
            raise BadInputError(f"headers: {name}: SES refuses this header")
        if name.lower() in seen:
            raise BadInputError(f"headers: {name}: it is given twice")
        seen.add(name.lower())
    added = len(_OWN_HEADERS) if campaign.unsubscribe_url else 0
    if len(seen) + added > _MAX_HEADERS:
        with_ours = f", with the {added} for unsubscribe_url" if added else ""
        raise BadInputError(
            f"headers: {len(seen) + added}{with_ours}; SES takes at most {_MAX_HEADERS}"
        )


def _check_header(name: str, value: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise BadInputError(f"headers: {name!r}: a name is 1 to 126 printable ASCII, no colon")
    if not value:
        raise BadInputError(f"headers: {name}: the value is empty")
    if len(name) + len(value) > _MAX_HEADER_CHARACTERS:
        raise BadInputError(
            f"headers: {name}: name and value are longer than {_MAX_HEADER_CHARACTERS} characters"
        )
    if not _HEADER_VALUE.fullmatch(value):
        raise BadInputError(f"headers: {name}: the value has characters outside printable ASCII")


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise `BadInputError` for what SES takes as no tag."""
    for name, value in tags.items():
        if name in _OWN_TAGS:
            raise BadInputError(f"tags: {name}: Postroom sets this tag itself")
        # SES's own tags for Gmail's Postmaster Tools are the only ones with a colon.
        bare = name.removeprefix("ses:feedback-id-")
        for what, text in (("name", bare), ("value", value)):
            if not _TAG.fullmatch(text):
                raise BadInputError(
                    f"tags: {name}: the {what} may have 1 to 256 ASCII letters, digits, _ and -"
                )


def _check_size(campaign: Campaign) -> None:
    try:
        spec = wire.encode_campaign(campaign)
    except TypeError as error:
        raise BadInputError(f"defaults: {error}") from None
    parts: tuple[Any, ...] = (campaign.subject, campaign.html, campaign.text)
    size = sum(len(part.encode()) for part in parts if part)
    if max(len(spec), int(size * _BASE64_GROWTH)) > MAX_BYTES:
        raise BadInputError(
            f"html, text: {size * _BASE64_GROWTH / 1024 / 1024:.0f} MB when encoded; "
            "SES takes 40 MB"
        )
