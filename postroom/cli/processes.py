"""`postroom ps`: every worker and producer that runs, and what ails it."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from postroom import clock
from postroom.cli.console import AsJson, notes, say_json, tables
from postroom.cli.session import opened
from postroom.cli.wording import printable, span
from postroom.views.processes import Process
from postroom.views.records import process_record


def ps(*, as_json: AsJson = False) -> None:
    """List the workers and producers that run."""
    with opened() as post:
        found = post.processes()
    if as_json:
        say_json([process_record(one) for one in found])
        return
    if not found:
        notes().print("no process is there")
        return
    tables().print(_table(found))
    out = tables(soft_wrap=True)
    for one in found:
        for trouble in one.troubles:
            out.print(Text(f"{one.kind} {one.name}: {printable(trouble)}", style="yellow"))


def _table(found: Sequence[Process]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("", "kind", "host:pid", "version", "up", "busy", "settings"):
        table.add_column(column, no_wrap=True, justify="right" if column == "busy" else "left")
    now = clock.now()
    for one in found:
        about = one.about
        table.add_row(
            Text("!", style="bold yellow") if one.troubles else "",
            one.kind,
            printable(one.name),
            about.version,
            span(now - about.started_at) if about.started_at else "",
            f"{about.busy} of {about.slots}",
            about.settings[:6],
        )
    return table
