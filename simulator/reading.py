"""An accepted mail as its reader would see it; rendered only when somebody looks."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import orjson

from simulator.mailbox import Mail
from simulator.message import Pair, Raw, Simple, Template
from simulator.raw import body, parsed, visible_headers

_PLACEHOLDER: Final = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")


class Seen(NamedTuple):
    """Content after substitution. `failure` is what SES would tell in a Rendering Failure."""

    subject: str
    text: str | None
    html: str | None
    headers: list[Pair]
    failure: str | None = None


def seen(mail: Mail) -> Seen:
    content = mail.call.content
    if isinstance(content, Raw):
        mime = parsed(content)
        subject = str(mime.get("Subject", ""))
        return Seen(subject, body(mime, "plain"), body(mime, "html"), visible_headers(mime))
    if isinstance(content, Simple):
        return Seen(content.subject, content.text, content.html, list(content.headers))
    return _substituted(mail, content)


def _substituted(mail: Mail, template: Template) -> Seen:
    headers = _merged(template.headers, mail.entry.headers)
    try:
        values = _values(template.data) | _values(mail.entry.data)
        subject, text, html = (
            _filled(part, values) for part in (template.subject, template.text, template.html)
        )
    except _RenderingError as failed:
        return Seen(template.subject, template.text, template.html, headers, str(failed))
    return Seen(subject or "", text, html, headers)


class _RenderingError(ValueError):
    pass


def _values(data: str) -> dict[str, object]:
    try:
        values = orjson.loads(data) if data else {}
    except orjson.JSONDecodeError:
        values = None
    if not isinstance(values, dict):
        raise _RenderingError("The rendering data is not a JSON object.")
    return values


def _filled(part: str | None, values: Mapping[str, object]) -> str | None:
    """`part` with its placeholders replaced; like SES, nothing is escaped for HTML."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise _RenderingError(f"Attribute '{found[1]}' is not present in the rendering data.")
        given = values[found[1]]
        return given if isinstance(given, str) else orjson.dumps(given).decode()

    return None if part is None else _PLACEHOLDER.sub(value, part)


def _merged(defaults: tuple[Pair, ...], replacements: tuple[Pair, ...]) -> list[Pair]:
    replaced = {pair.name.lower() for pair in replacements}
    return [pair for pair in defaults if pair.name.lower() not in replaced] + list(replacements)


def described(mail: Mail) -> Mapping[str, object]:
    """One element of `GET /_simulator/mails`."""
    content, call, entry = seen(mail), mail.call, mail.entry
    return {
        "message_id": mail.message_id,
        "at": mail.at,
        "operation": call.operation,
        "campaign": mail.campaign,
        "configuration_set": call.configuration_set,
        "from": call.sender,
        "to": entry.to,
        "cc": entry.cc,
        "bcc": entry.bcc,
        "reply_to": call.reply_to,
        "subject": content.subject,
        "text": content.text,
        "html": content.html,
        "headers": [pair._asdict() for pair in content.headers],
        "tags": dict(call.tags) | dict(entry.tags),
        "suppressed": mail.suppressed,
        "rendering_failure": content.failure,
    }
