"""`postroom submit`, and what it shares with the demo."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from postroom import campaign_file
from postroom.cli import rows
from postroom.cli.console import AsJson, notes, say, say_json
from postroom.cli.following import watched
from postroom.cli.session import opened
from postroom.cli.wording import count, many, printable
from postroom.client import Postroom
from postroom.content import template
from postroom.content.advice import advice_on
from postroom.content.fields import fields_of
from postroom.errors import BadInputError, PostroomError
from postroom.intake.look import NOTED_ROWS, Looked
from postroom.model import Submission

CampaignFile = Annotated[
    Path, typer.Argument(metavar="CAMPAIGN.toml", help="The campaign file.", show_default=False)
]
Recipients = Annotated[
    str,
    typer.Option(
        "--recipients",
        "-r",
        metavar="FILE|-|s3://BUCKET/KEY",
        help="CSV or JSON Lines, gzip or not, with a column `email`; -: from stdin.",
        show_default=False,
    ),
]
EmailColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Which column is the address.  [default: email]"),
]


class NobodyError(PostroomError):
    """Nobody of a list can be mailed."""


def submit(
    campaign: CampaignFile,
    recipients: Recipients,
    key: Annotated[str | None, typer.Option(help="The same key again sends nothing again.")] = None,
    email_column: EmailColumn = None,
    *,
    strict: Annotated[
        bool, typer.Option("--strict", help="With one bad row nothing is sent; names all of them.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Watch it until it is over.")] = False,
    as_json: AsJson = False,
) -> int:
    """Hand in a campaign; its id goes to stdout."""
    with opened() as post:
        submission = handed_in(
            post, campaign, recipients, key=key, strict=strict, email_column=email_column
        )
        _tell(submission, key, as_json=as_json)
        if wait:
            return watched(post, submission.id, as_json=as_json)
    if (console := notes()).is_terminal:
        console.print(f"live: postroom watch {submission.id}", style="dim")
    return 0


def handed_in(
    post: Postroom,
    campaign: Path,
    recipients: str,
    *,
    key: str | None = None,
    strict: bool = False,
    email_column: str | None = None,
) -> Submission:
    """Submit a campaign file with the recipients of a file, or of an address.

    What is probably not meant so is said on stderr. Raises `BadInputError` naming the file that
    is at fault, and `NobodyError`.
    """
    read = campaign_file.read(campaign)
    with fault_in(campaign, recipients):
        hand_in = partial(post.submit, read, key=key, strict=strict, email_column=email_column)
        if "://" in recipients:
            looked, submission = Looked(), hand_in(source=recipients)
        else:
            template.check(read)
            with rows.opened(recipients) as raw:
                looked = rows.looked(raw, fields_of(read), email=email_column)
                _refuse(looked, recipients, strict=strict)
                submission = hand_in(raw=raw)
    if submission.created:
        for advice in advice_on(read):
            notes().print(f"{campaign}: {printable(advice.detail)}", style="yellow")
        _warn(looked, recipients, submission)
    return submission


def _refuse(looked: Looked, recipients: str, *, strict: bool) -> None:
    """Raise what keeps a list from being handed in."""
    if (first := looked.first_invalid) is None:
        return
    if not looked.good:
        raise NobodyError(
            f"{recipients}: none of {many(looked.invalid, 'row')} can be mailed; "
            f"row {first.row}: {first.reason}"
        )
    if strict:
        raise refused(looked, recipients)


def refused(looked: Looked, recipients: str) -> BadInputError:
    """Return what `--strict` says: every row, or the first thousand of them."""
    bad = [row for row in looked.noted if row.kind == "invalid"]
    some = f", of which these are {count(len(bad))}" if len(bad) < looked.invalid else ""
    error = BadInputError(
        f"{recipients}: {many(looked.invalid, 'row')} cannot be mailed{some}; "
        "strict: nothing was submitted"
    )
    for row in bad[:NOTED_ROWS]:
        error.add_note(f"row {row.row}: {row.reason}")
    return error


def _warn(looked: Looked, recipients: str, submission: Submission) -> None:
    console = notes()
    if looked.warning is not None:
        told = printable(f"row {looked.warning.row}: {looked.warning.reason}")
        console.print(f"{recipients}: {told}", style="yellow")
    if looked.invalid:
        told = f"{many(looked.invalid, 'row')} cannot be mailed"
        console.print(
            f"{recipients}: {told}: postroom report {submission.id} --bad-rows", style="yellow"
        )


@contextmanager
def fault_in(campaign: Path, recipients: str) -> Iterator[None]:
    """Name the file that is at fault in whatever `BadInputError` comes up."""
    try:
        yield
    except BadInputError as error:
        named = BadInputError(_with_file(str(error), campaign, recipients))
        for note in getattr(error, "__notes__", ()):
            named.add_note(note)
        raise named from None


def _with_file(fault: str, campaign: Path, recipients: str) -> str:
    """Name the file in place of the thing; the key of a submit stands in none."""
    what, separator, rest = fault.partition(": ")
    if separator and what == "recipients":
        return f"{recipients}: {rest}"
    named = what == "key" or fault.startswith(f"{recipients}: ")
    return fault if named else f"{campaign}: {fault}"


def _tell(submission: Submission, key: str | None, *, as_json: bool) -> None:
    if not submission.same_content:
        raise BadInputError(
            f"--key {key}: it names campaign {submission.id}, which is another one than this; "
            "nothing was submitted"
        )
    if not submission.created:
        notes().print(f"submitted before with the key {key}: nothing is sent again")
    if as_json:
        say_json({"id": submission.id, "created": submission.created})
    else:
        say(submission.id)
