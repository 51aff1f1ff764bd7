"""The nouns of a send call, read from its JSON: call, entry, content. No rules, no I/O."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

from simulator.errors import malformed


class Pair(NamedTuple):
    """A header or a tag."""

    name: str
    value: str


class Simple(NamedTuple):
    subject: str
    text: str | None
    html: str | None
    headers: tuple[Pair, ...]
    size: int


class Raw(NamedTuple):
    """A whole MIME message; it brings its own headers."""

    base64: str
    headers: tuple[Pair, ...] = ()

    @property
    def size(self) -> int:
        return len(self.base64)


class Template(NamedTuple):
    stored_name: str | None
    subject: str
    text: str | None
    html: str | None
    data: str
    headers: tuple[Pair, ...]
    size: int


Content = Simple | Raw | Template


class Entry(NamedTuple):
    """One message of a call: who gets it and what differs for them."""

    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    data: str = ""
    headers: tuple[Pair, ...] = ()
    tags: tuple[Pair, ...] = ()

    @property
    def recipients(self) -> tuple[str, ...]:
        return self.to + self.cc + self.bcc if self.cc or self.bcc else self.to


class Call(NamedTuple):
    """A SendEmail (of one entry) or a SendBulkEmail."""

    operation: str
    sender: str
    reply_to: tuple[str, ...]
    configuration_set: str | None
    tags: tuple[Pair, ...]
    content: Content
    entries: tuple[Entry, ...]


Json = Mapping[str, object]


def as_object(body: bytes) -> Json:
    """The JSON object of a request; an empty body is an empty object."""
    try:
        value = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError:
        raise malformed("the request body") from None
    if not isinstance(value, dict):
        raise malformed("the request body")
    return value


def member(of: Json, name: str) -> Json:
    value = of.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise malformed(name)
    return value


def text(of: Json, name: str) -> str | None:
    value = of.get(name)
    if value is not None and not isinstance(value, str):
        raise malformed(name)
    return value


def elements(of: Json, name: str) -> Sequence[object]:
    value = of.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise malformed(name)
    return value


def objects(of: Json, name: str) -> Sequence[Json]:
    found = elements(of, name)
    for one in found:
        if not isinstance(one, dict):
            raise malformed(name)
    return found  # type: ignore[return-value]  # each was looked at above


def texts(of: Json, name: str) -> tuple[str, ...]:
    found = elements(of, name)
    for one in found:
        if not isinstance(one, str):
            raise malformed(name)
    return tuple(found)  # type: ignore[arg-type]  # each was looked at above


def pairs(of: Json, name: str) -> tuple[Pair, ...]:
    if name not in of:
        return ()
    return tuple(
        Pair(text(one, "Name") or "", text(one, "Value") or "") for one in objects(of, name)
    )


def text_of_tag(tags: tuple[Pair, ...], name: str) -> str:
    return next((tag.value for tag in tags if tag.name == name), "")


def email_call(body: bytes) -> Call:
    """Read SendEmail."""
    root = as_object(body)
    return Call(
        operation="SendEmail",
        sender=text(root, "FromEmailAddress") or "",
        reply_to=texts(root, "ReplyToAddresses"),
        configuration_set=text(root, "ConfigurationSetName"),
        tags=pairs(root, "EmailTags"),
        content=_content(member(root, "Content")),
        entries=(_entry({"Destination": member(root, "Destination")}),),
    )


def bulk_call(body: bytes) -> Call:
    """Read SendBulkEmail."""
    root = as_object(body)
    return Call(
        operation="SendBulkEmail",
        sender=text(root, "FromEmailAddress") or "",
        reply_to=texts(root, "ReplyToAddresses"),
        configuration_set=text(root, "ConfigurationSetName"),
        tags=pairs(root, "DefaultEmailTags"),
        content=_template(member(member(root, "DefaultContent"), "Template")),
        entries=tuple(_entry(one) for one in objects(root, "BulkEmailEntries")),
    )


def _entry(of: Json) -> Entry:
    destination = member(of, "Destination")
    replacement = member(member(of, "ReplacementEmailContent"), "ReplacementTemplate")
    return Entry(
        texts(destination, "ToAddresses"),
        texts(destination, "CcAddresses"),
        texts(destination, "BccAddresses"),
        text(replacement, "ReplacementTemplateData") or "",
        pairs(of, "ReplacementHeaders"),
        pairs(of, "ReplacementTags"),
    )


def _content(of: Json) -> Content:
    given = [name for name in ("Simple", "Raw", "Template") if of.get(name) is not None]
    if given == ["Raw"]:
        return Raw(text(member(of, "Raw"), "Data") or "")
    if given == ["Template"]:
        return _template(member(of, "Template"))
    if given == ["Simple"]:
        return _simple(member(of, "Simple"))
    raise malformed("Content: exactly one of Simple, Raw, Template is required")


def _simple(of: Json) -> Simple:
    body = member(of, "Body")
    subject = text(member(of, "Subject"), "Data") or ""
    plain, html = text(member(body, "Text"), "Data"), text(member(body, "Html"), "Data")
    size = _size(subject, plain, html) + _attached(of)
    return Simple(subject, plain, html, pairs(of, "Headers"), size)


def _template(of: Json) -> Template:
    inline = member(of, "TemplateContent")
    subject, plain = text(inline, "Subject") or "", text(inline, "Text")
    html, arn = text(inline, "Html"), text(of, "TemplateArn")
    return Template(
        stored_name=text(of, "TemplateName") or (arn.rpartition("/")[2] if arn else None),
        subject=subject,
        text=plain,
        html=html,
        data=text(of, "TemplateData") or "",
        headers=pairs(of, "Headers"),
        size=_size(subject, plain, html) + _attached(of),
    )


def _size(*parts: str | None) -> int:
    return sum(len(part.encode()) for part in parts if part)


def _attached(of: Json) -> int:
    return sum(len(text(one, "RawContent") or "") for one in objects(of, "Attachments"))
