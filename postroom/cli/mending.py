"""`postroom retry|doctor`: put right what went wrong."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from postroom.cli.console import AsJson, notes, say, say_json, tables
from postroom.cli.flags import By
from postroom.cli.session import opened
from postroom.cli.wording import count, printable
from postroom.model import CampaignId, Outcome
from postroom.submission.retrying import Retriable, Wanted


def retry(
    campaign: Annotated[str, typer.Argument(metavar="ID", help="A campaign that is over.")],
    *,
    rejected: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Who was rejected for a reason with these.")
    ] = None,
    ambiguous: Annotated[
        bool, typer.Option("--ambiguous", help="Who may or may not have the mail.")
    ] = False,
    expired: Annotated[bool, typer.Option("--expired", help="For whom it came too late.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Send a campaign once more to some it did not reach; without an option, show who they are."""
    with opened() as post:
        found = post.retriable(CampaignId(campaign))
        if rejected is None and not ambiguous and not expired:
            _show(campaign, found, as_json=as_json)
            return
        wanted = Wanted(rejected=rejected, ambiguous=ambiguous, expired=expired)
        chosen = [one for one in found if wanted.includes(one)]
        _warn(chosen)
        submissions = post.retry(
            CampaignId(campaign), rejected=rejected, ambiguous=ambiguous, expired=expired, by=by
        )
    if as_json:
        retries = [{"id": one.id, "created": one.created} for one in submissions]
        say_json({"retries": retries, "retriable": list(map(asdict, chosen))})
        return
    for one in submissions:
        say(one.id)
        if not one.created:
            notes().print(f"retried before by {one.id}: nothing is sent again")


def _show(campaign: str, found: Sequence[Retriable], *, as_json: bool) -> None:
    if as_json:
        say_json({"retriable": list(map(asdict, found))})
        return
    if not found:
        notes().print("nobody to retry: nobody was rejected, is ambiguous or expired")
        return
    table = Table("recipients", "outcome", "retried by", "reason", box=None, pad_edge=False)
    for one in found:
        by = one.retried_by or "-"
        table.add_row(count(one.recipients), one.outcome, by, printable(one.reason))
    tables().print(table)
    ways = {one.outcome: _WAYS[one.outcome] for one in found if one.retried_by is None}
    for way in ways.values():
        notes().print(f"to send it to them once more: postroom retry {campaign} {way}")


def _warn(chosen: Sequence[Retriable]) -> None:
    """Say whom it is about, before anything is sent."""
    for one in chosen:
        before = f"; {one.retried_by} has retried them" if one.retried_by else ""
        why = f": {printable(one.reason)}" if one.reason else ""
        notes().print(f"{count(one.recipients)} {one.outcome}{why}{before}")
    if any(one.outcome is Outcome.AMBIGUOUS for one in chosen):
        notes().print("some of the ambiguous may have the mail already, and get it twice")


_WAYS: Final = {
    Outcome.REJECTED: "--rejected WORDS",
    Outcome.AMBIGUOUS: "--ambiguous",
    Outcome.EXPIRED: "--expired",
}


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
        found = post.examine()
    complaints = [one for one in found if one.wrong]
    hints = [one for one in found if not one.wrong]
    if as_json:
        say_json(
            {
                "repaired": [{"campaign": one.campaign_id, "what": one.what} for one in repaired],
                "wrong": [
                    {"where": one.where, "what": one.what, "command": one.command}
                    for one in complaints
                ],
                "notes": [{"where": one.where, "what": one.what} for one in hints],
            }
        )
        return int(bool(complaints))
    out = tables(soft_wrap=True)
    for one in repaired:
        out.print(Text("repaired ", style="green"), f"campaign {one.campaign_id}: {one.what}")
    for complaint in [*complaints, *hints]:
        out.print(Text(f"{complaint.where}:", style="bold"), printable(complaint.what))
        if complaint.command:
            out.print(Text(f"  -> {complaint.command}", style="cyan"))
    if not complaints:
        notes().print("nothing is wrong")
    return int(bool(complaints))
