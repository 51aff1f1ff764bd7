"""`postroom report`: what became of everybody, as rows for another program."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import chain
from typing import Annotated, Final

import typer

from postroom.cli.console import AsJson
from postroom.cli.session import opened
from postroom.cli.steering import Id
from postroom.client import Postroom
from postroom.model import CampaignId, Outcome

Row = Mapping[str, str | int]


class ReportFormat(StrEnum):
    CSV = "csv"
    JSON_LINES = "jsonl"


def report(
    campaign: Id,
    outcome: Annotated[
        list[Outcome] | None, typer.Option(help="Only these; may be repeated.", show_default=False)
    ] = None,
    form: Annotated[
        ReportFormat, typer.Option("--format", help="How rows are written.")
    ] = ReportFormat.CSV,
    *,
    bad_rows: Annotated[
        bool,
        typer.Option("--bad-rows", help="Instead: the rows that were invalid or repeated."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write what became of every recipient to stdout: address, outcome, reason."""
    write = _WRITERS[ReportFormat.JSON_LINES if as_json else form]
    with opened() as post:
        if bad_rows:
            write(("row", "kind", "reason"), _bad_rows(post, campaign))
        else:
            write(("address", "outcome", "reason"), _begun(_rows(post, campaign, outcome or [])))


def _rows(post: Postroom, campaign: str, wanted: list[Outcome]) -> Iterator[Row]:
    for row in post.report(CampaignId(campaign), outcome=wanted):
        yield {"address": row.email, "outcome": row.outcome.value, "reason": row.reason}


def _bad_rows(post: Postroom, campaign: str) -> Iterator[Row]:
    post.status(CampaignId(campaign))  # Raises for a campaign that nobody knows.
    for row in post.bad_rows(CampaignId(campaign)):
        yield {"row": row.row, "kind": row.kind, "reason": row.reason}


def _begun(rows: Iterator[Row]) -> Iterator[Row]:
    """Ask for the first row now: an unknown campaign shows before anything is written."""
    first = next(rows, None)
    return rows if first is None else chain([first], rows)


def _write_csv(columns: tuple[str, ...], rows: Iterable[Row]) -> None:
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _write_json_lines(_columns: tuple[str, ...], rows: Iterable[Row]) -> None:
    for row in rows:
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")


_WRITERS: Final[Mapping[ReportFormat, Callable[[tuple[str, ...], Iterable[Row]], None]]] = {
    ReportFormat.CSV: _write_csv,
    ReportFormat.JSON_LINES: _write_json_lines,
}
