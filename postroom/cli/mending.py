"""`postroom retry|doctor`: put right what went wrong."""

from typing import Annotated

import typer
from rich.text import Text

from postroom.cli.console import AsJson, notes, say, say_json, tables
from postroom.cli.session import opened
from postroom.cli.wording import printable
from postroom.model import CampaignId


def retry(
    campaign: Annotated[str, typer.Argument(metavar="ID", help="A campaign that is over.")],
    *,
    rejected: Annotated[
        str, typer.Option(metavar="WORDS", help="Words of the reason, as the report shows it.")
    ],
    as_json: AsJson = False,
) -> None:
    """Send a campaign again to those who were rejected for one reason."""
    with opened() as post:
        submission = post.retry(CampaignId(campaign), rejected=rejected)
    if as_json:
        say_json({"id": submission.id, "created": submission.created})
    else:
        say(submission.id)
    if not submission.created:
        notes().print("retried before for these words: nothing is sent again")


def doctor(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Do at once what the workers do by themselves.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Show what is wrong, and the one command that mends it. Ends with 1 when something is."""
    with opened() as post:
        repaired = post.repair() if repair else []
        complaints = post.examine()
    if as_json:
        say_json(
            {
                "repaired": [{"campaign": one.campaign_id, "what": one.what} for one in repaired],
                "wrong": [
                    {"where": one.where, "what": one.what, "command": one.command}
                    for one in complaints
                ],
            }
        )
        return int(bool(complaints))
    out = tables(soft_wrap=True)
    for one in repaired:
        out.print(Text("repaired ", style="green"), f"campaign {one.campaign_id}: {one.what}")
    for complaint in complaints:
        out.print(Text(f"{complaint.where}:", style="bold"), printable(complaint.what))
        if complaint.command:
            out.print(Text(f"  -> {complaint.command}", style="cyan"))
    if not complaints:
        notes().print("nothing is wrong")
    return int(bool(complaints))
