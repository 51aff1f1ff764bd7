"""Hand mail to SES: SendBulkEmail for up to 50 recipients, SendEmail for one."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from postroom.content.template import Headers, RenderedMail, UnrenderableError
from postroom.model import Recipient
from worker.bulk import BulkEntry, BulkTemplate, Frame
from worker.raw import RawMailing
from worker.render import Mailing
from worker.ses.client import SesClient
from worker.ses.departure import Departure, Gate, always_open
from worker.ses.reading import BULK, SINGLE, Reader
from worker.ses.ready_body import post_json
from worker.ses.verdict import Kind, Verdict

Json = Mapping[str, Any]


class SesCarrier:
    """Sends over one account. Safe to share between threads.

    No method raises for anything that SES, the network or the credentials answer: what goes
    wrong with a whole call becomes the verdict of each of its entries. The gate is asked at the
    last moment; what it holds back is UNSENT.
    """

    def __init__(
        self, connect: Callable[[], SesClient], *, region: str, changed: Callable[[], bool]
    ) -> None:
        """`connect` returns the client for the calling process, and is asked for every call.

        `changed` says whether it has other credentials now than those that were refused.
        """
        self._connect = connect
        self._region = region
        self._changed = changed

    def send_bulk(
        self,
        mailing: Frame,
        batch_number: int,
        entries: Sequence[BulkEntry],
        gate: Gate = always_open,
    ) -> list[Verdict]:
        """Send up to 50 entries in one call. Returns one verdict for each, in their order."""
        frame = _frame(mailing)
        body = _bulk_body(frame, batch_number, entries)
        reader = Reader(BULK, self._region, frame.address, [entry.to for entry in entries])
        answer = self._post(BULK, body, gate, reader)
        return [answer] * len(entries) if isinstance(answer, Verdict) else reader.results(answer)

    def send_one(
        self,
        mailing: Mailing | RawMailing,
        batch_number: int,
        index: int,
        recipient: Recipient,
        gate: Gate = always_open,
    ) -> Verdict:
        """Send one mail in one call. A mail that cannot be made is rejected."""
        if isinstance(mailing, RawMailing):
            return self._send_raw(mailing, batch_number, index, recipient, gate)
        frame = _frame(mailing)
        try:
            body = _single_body(frame, batch_number, index, recipient, mailing.message(recipient))
        except UnrenderableError as error:
            return Verdict(Kind.REJECTED, str(error))
        except UnicodeEncodeError:
            return Verdict(Kind.REJECTED, "a field holds text that is not valid Unicode")
        reader = Reader(SINGLE, self._region, frame.address, (recipient.email,))
        answer = self._post(SINGLE, body, gate, reader)
        return answer if isinstance(answer, Verdict) else reader.result(answer)

    def _send_raw(
        self, mailing: RawMailing, batch_number: int, index: int, recipient: Recipient, gate: Gate
    ) -> Verdict:
        body = _raw_body(mailing, batch_number, index, recipient)
        reader = Reader(SINGLE, self._region, mailing.address, (recipient.email,))
        answer = self._post(SINGLE, body, gate, reader)
        return answer if isinstance(answer, Verdict) else reader.result(answer)

    def _post(self, operation: str, body: bytes, gate: Gate, reader: Reader) -> Json | Verdict:
        """Make one call; once more where SES refused credentials that were changed since."""
        answer = self._posted(operation, body, gate, reader)
        if isinstance(answer, Verdict) and answer.kind is Kind.STOP_ACCOUNT and self._changed():
            return self._posted(operation, body, gate, reader)
        return answer

    def _posted(self, operation: str, body: bytes, gate: Gate, reader: Reader) -> Json | Verdict:
        leaving = Departure(gate)
        try:
            return post_json(self._connect(), operation, body, leaving)
        except Exception as error:  # noqa: BLE001 - only the SDK runs in there; see faults
            return reader.failure(error, left=leaving.left)


class _Frame(NamedTuple):
    """What all calls of a campaign share, made ready once."""

    common: Json
    """The members that SendEmail and SendBulkEmail have alike."""
    default_content: msgspec.Raw
    tags: tuple[Json, ...]
    address: str
    """The bare From address."""


@lru_cache(maxsize=1024)  # As many as there are compiled campaigns; see sending/compiled.py.
def _frame(mailing: Frame) -> _Frame:
    return _Frame(
        common=_common(mailing),
        default_content=_default_content(mailing.template),
        tags=tuple(_pairs((*mailing.tags.items(), ("campaign", mailing.campaign_id)))),
        address=mailing.from_.address,
    )


@lru_cache(maxsize=256)
def _default_content(template: BulkTemplate) -> msgspec.Raw:
    """Write what is large once for all campaigns and messages with the same template."""
    content = {"Subject": template.subject, "Html": template.html, "Text": template.text}
    default = {
        "TemplateContent": {part: text for part, text in content.items() if text is not None},
        "TemplateData": "{}",
        "Headers": _pairs(template.headers),
    }
    return msgspec.Raw(msgspec.json.encode({"Template": default}))


def _common(mailing: Frame) -> Json:
    sender = mailing.sender
    common = {
        "FromEmailAddress": mailing.from_.header,
        "ReplyToAddresses": [one.header for one in mailing.reply_to],
        "ConfigurationSetName": sender.configuration_set,
        "FromEmailAddressIdentityArn": sender.identity_arn,
    }
    return {member: value for member, value in common.items() if value}


def _bulk_body(frame: _Frame, batch_number: int, entries: Sequence[BulkEntry]) -> bytes:
    # SES has been seen to ignore DefaultEmailTags, so each entry carries all its tags
    # (https://github.com/boto/boto3/issues/4838).
    tags = [*frame.tags, {"Name": "batch", "Value": str(batch_number)}]
    return msgspec.json.encode(
        {
            **frame.common,
            "DefaultContent": frame.default_content,
            "BulkEmailEntries": [_entry(entry, tags) for entry in entries],
        }
    )


def _entry(entry: BulkEntry, tags: Sequence[Json]) -> Json:
    made: dict[str, Any] = {
        "Destination": {"ToAddresses": (entry.to,)},
        "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": entry.data}},
        "ReplacementTags": [
            *_pairs(entry.tags),
            *tags,
            {"Name": "index", "Value": str(entry.index)},
        ],
    }
    if entry.headers:
        made["ReplacementHeaders"] = _pairs(entry.headers)
    return made


def _index_tag(index: int) -> Json:
    return {"Name": "index", "Value": str(index)}


def _single_body(
    frame: _Frame, batch_number: int, index: int, recipient: Recipient, message: RenderedMail
) -> bytes:
    body = {"Html": message.html, "Text": message.text}
    content = {
        "Subject": _text(message.subject),
        "Body": {part: _text(text) for part, text in body.items() if text is not None},
        "Headers": _pairs(message.headers),
    }
    own_tags = (("batch", str(batch_number)), ("index", str(index)))
    return msgspec.json.encode(
        {
            **frame.common,
            "Destination": {"ToAddresses": (recipient.email,)},
            "Content": {"Simple": content},
            "EmailTags": [*frame.tags, *_pairs(own_tags)],
        }
    )


def _raw_body(mailing: RawMailing, batch_number: int, index: int, recipient: Recipient) -> bytes:
    """The From of the mail itself stands; the destination is the envelope, whatever its To says."""
    own_tags = (("campaign", mailing.campaign_id), ("batch", str(batch_number)))
    given = {
        "ConfigurationSetName": mailing.configuration_set,
        "FromEmailAddressIdentityArn": mailing.identity_arn,
        "Destination": {"ToAddresses": (recipient.email,)},
        "Content": {"Raw": {"Data": mailing.mime}},
        "EmailTags": [*_pairs((*mailing.tags.items(), *own_tags)), _index_tag(index)],
    }
    return msgspec.json.encode({member: value for member, value in given.items() if value})


def _text(text: str) -> Json:
    return {"Data": text, "Charset": "UTF-8"}


def _pairs(pairs: Headers) -> list[Json]:
    return [{"Name": name, "Value": value} for name, value in pairs]
