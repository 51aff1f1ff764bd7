"""`postroom render`: the mail that one recipient would get."""

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from postroom import campaign_file, settings
from postroom.cli import rows
from postroom.cli.console import AsJson, say, say_json
from postroom.cli.submitting import CampaignFile, EmailColumn
from postroom.content.fields import fields_of, filled
from postroom.content.template import RenderedMail, Templates, UnrenderableError
from postroom.errors import BadInputError, PostroomError
from postroom.model import Recipient

_SOMEBODY: Final = "somebody@example.com"


class Part(StrEnum):
    SUBJECT = "subject"
    HTML = "html"
    TEXT = "text"


def render(
    campaign: CampaignFile,
    recipients: Annotated[
        str | None,
        typer.Option("--recipients", "-r", metavar="FILE|-", help="CSV or JSON Lines."),
    ] = None,
    row: Annotated[
        int | None, typer.Option(help="Which row, as a spreadsheet counts.  [default: the first]")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", "-f", metavar="NAME=VALUE", help="A merge field; may be repeated."),
    ] = None,
    email_column: EmailColumn = None,
    *,
    part: Annotated[Part | None, typer.Option(help="Only this part, just as it is.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the mail that one recipient would get. Sends nothing."""
    if row is not None and recipients is None:
        raise BadInputError("--row: of which file? add --recipients FILE")
    somebody = _recipient(recipients, row, field or [], email_column)
    try:
        read = campaign_file.read(campaign)
        templates = Templates(read)
        to = filled(somebody, fields_of(read))
        message = templates.message(templates.values(to))
    except (BadInputError, UnrenderableError) as error:
        raise BadInputError(_named(str(error), campaign)) from None
    _write(message, _envelope(read.sender, to), part, as_json=as_json)


def _named(fault: str, campaign: Path) -> str:
    return fault if fault.startswith(str(campaign)) else f"{campaign}: {fault}"


def _envelope(sender: str, to: Recipient) -> Mapping[str, str]:
    """Who it goes to, and from whom these settings would send it."""
    known = settings.load().senders.get(sender)
    if known is None:
        return {"From": f"(sender {sender}, which these settings do not have)", "To": to.email}
    reply_to = {"Reply-To": ", ".join(known.reply_to)} if known.reply_to else {}
    return {"From": known.from_, "To": to.email, **reply_to}


def _recipient(path: str | None, row: int | None, given: list[str], email: str | None) -> Recipient:
    base = Recipient(_SOMEBODY) if path is None else rows.nth(path, row, email=email)
    fields = dict(map(_pair, given))
    return Recipient(fields.pop("email", base.email), {**base.fields, **fields})


def _pair(given: str) -> tuple[str, str]:
    name, separator, value = given.partition("=")
    if not (name and separator):
        raise BadInputError(f"--field {given}: write NAME=VALUE")
    return name, value


def _write(
    message: RenderedMail, envelope: Mapping[str, str], part: Part | None, *, as_json: bool
) -> None:
    parts: Mapping[Part, str | None] = {
        Part.SUBJECT: message.subject,
        Part.HTML: message.html,
        Part.TEXT: message.text,
    }
    if as_json:
        bodies = {part.value: body for part, body in parts.items()}
        say_json({**bodies, "headers": {**envelope, **dict(message.headers)}})
    elif part is None:
        _write_all(message, envelope)
    elif (only := parts[part]) is not None:
        sys.stdout.write(only)
    else:
        raise PostroomError(f"the campaign has no {part} part")


def _write_all(message: RenderedMail, envelope: Mapping[str, str]) -> None:
    for name, value in envelope.items():
        say(f"{name}: {value}")
    say(f"Subject: {message.subject}")
    for name, value in message.headers:
        say(f"{name}: {value}")
    for kind, body in (("text", message.text), ("html", message.html)):
        if body is not None:
            say(f"\n--- {kind} ---\n{body.rstrip()}")
