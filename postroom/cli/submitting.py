"""`postroom submit`, and what it shares with the demo."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from postroom import campaign_file
from postroom.cli.console import AsJson, notes, say, say_json
from postroom.cli.following import watched
from postroom.cli.session import opened
from postroom.client import Postroom
from postroom.errors import BadInputError
from postroom.model import Submission

CampaignFile = Annotated[
    Path, typer.Argument(metavar="CAMPAIGN.toml", help="The campaign file.", show_default=False)
]
Recipients = Annotated[
    str,
    typer.Option(
        "--recipients",
        "-r",
        metavar="FILE|s3://BUCKET/KEY",
        help="CSV or JSON Lines, gzip or not, with a column `email`.",
        show_default=False,
    ),
]


def submit(
    campaign: CampaignFile,
    recipients: Recipients,
    key: Annotated[str | None, typer.Option(help="The same key again sends nothing again.")] = None,
    *,
    strict: Annotated[
        bool, typer.Option("--strict", help="One bad row halts it before anything is sent.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Watch it until it is over.")] = False,
    as_json: AsJson = False,
) -> int:
    """Hand in a campaign; its id goes to stdout."""
    with opened() as post:
        submission = handed_in(post, campaign, recipients, key=key, strict=strict)
        _tell(submission, key, as_json=as_json)
        if wait:
            return watched(post, submission.id, as_json=as_json)
    if (console := notes()).is_terminal:
        console.print(f"live: postroom watch {submission.id}", style="dim")
    return 0


def handed_in(
    post: Postroom, campaign: Path, recipients: str, *, key: str | None, strict: bool
) -> Submission:
    """Submit a campaign file with the recipients of a file, or of an address.

    Raises `BadInputError` naming the file that is at fault.
    """
    read = campaign_file.read(campaign)
    with fault_in(campaign, recipients):
        if "://" in recipients:
            return post.submit(read, source=recipients, key=key, strict=strict)
        with Path(recipients).open("rb") as raw:
            return post.submit(read, raw=raw, key=key, strict=strict)


@contextmanager
def fault_in(campaign: Path, recipients: str) -> Iterator[None]:
    """Name the file that is at fault in whatever `BadInputError` comes up."""
    try:
        yield
    except OSError as error:
        raise BadInputError(f"{recipients}: {error.strerror}") from None
    except BadInputError as error:
        raise BadInputError(_with_file(str(error), campaign, recipients)) from None


def _with_file(fault: str, campaign: Path, recipients: str) -> str:
    """Name the file in place of the thing; the key of a submit stands in none."""
    what, separator, rest = fault.partition(": ")
    if separator and what == "recipients":
        return f"{recipients}: {rest}"
    named = what == "key" or fault.startswith(recipients)
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
