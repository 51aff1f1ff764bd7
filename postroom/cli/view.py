"""How one campaign looks: as a block of lines that is drawn again and again, or as one line."""

from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from postroom import clock
from postroom.cli.wording import count, printable, rate, span
from postroom.model import Outcome, State, Status, Totals

_STYLES: Final = {
    State.SENDING: "bold green",
    State.FINISHED: "bold green",
    State.WAITING: "bold yellow",
    State.PAUSED: "bold yellow",
    State.HALTED: "bold red",
    State.CANCELLED: "bold magenta",
    State.EXPIRED: "bold magenta",
}
_OPEN: Final = (Outcome.PENDING, Outcome.SENDING)
_BESIDE: Final = ("invalid", "duplicate", "delivered", "bounced", "complained")
_IDLE: Final = (State.WAITING, State.PAUSED, State.HALTED)
_GROWING: Final = (State.RECEIVING, State.SPLITTING)


def settled(books: Totals) -> int:
    return books.total - books.pending - books.sending


def block(status: Status, quota_left: str = "") -> RenderableType:
    """The campaign in four lines or five, for a terminal."""
    books = status.totals
    bar = ProgressBar(
        total=max(books.total, 1), completed=settled(books), pulse=status.state in _GROWING
    )
    lines: list[RenderableType] = [_title(status), _with_figures(bar, books), _outcomes(books)]
    if pace := _pace(status, quota_left):
        lines.append(Text(pace, style="cyan"))
    if status.reason:
        lines.append(Text(printable(status.reason), style=_STYLES.get(status.state, "")))
    return Group(*lines)


def line(status: Status, quota_left: str = "") -> str:
    """The campaign on one line, for a log."""
    books = status.totals
    parts = [
        f"{status.state}  {count(settled(books))} of {count(books.total)}",
        _counted(books),
        _pace(status, quota_left),
        printable(status.reason),
    ]
    return " · ".join(part for part in parts if part)


def table(statuses: list[Status]) -> Table:
    """Many campaigns, newest first."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("id", "name", "state"):
        made.add_column(heading, no_wrap=heading != "name")
    for heading in ("total", "accepted", "open", "rate"):
        made.add_column(heading, justify="right", no_wrap=True)
    made.add_column("why")
    for one in statuses:
        books = one.totals
        made.add_row(
            one.id,
            printable(one.name),
            Text(one.state, style=_STYLES.get(one.state, "")),
            count(books.total),
            count(books.accepted),
            count(books.pending + books.sending),
            rate(one.achieved_rate),
            printable(one.reason),
        )
    return made


def books(totals: Totals) -> Table:
    """The books of one campaign: every outcome and their sum, then what is counted beside it."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column()
    made.add_column(justify="right")
    for outcome in Outcome:
        number = getattr(totals, outcome)
        made.add_row(outcome.value, count(number), style="" if number else "dim")
    made.add_row("total", count(totals.total), style="bold", end_section=True)
    for beside in _BESIDE:
        if number := getattr(totals, beside):
            made.add_row(beside, count(number), style="cyan")
    return made


def _title(status: Status) -> Text:
    return Text.assemble(
        (printable(status.name), "bold"),
        f"  {status.id}  ",
        (status.state.value, _STYLES.get(status.state, "")),
    )


def _with_figures(bar: ProgressBar, books: Totals) -> Table:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    share = 100 * settled(books) / books.total if books.total else 0
    grid.add_row(bar, f"{count(settled(books))} of {count(books.total)} · {share:.0f} %")
    return grid


def _outcomes(books: Totals) -> Text:
    return Text(_counted(books) or "nothing settled yet", style="dim")


def _counted(books: Totals) -> str:
    named = [*(one.value for one in Outcome if one not in _OPEN), *_BESIDE]
    told = [(name, getattr(books, name)) for name in named]
    return " · ".join(f"{name} {count(number)}" for name, number in told if number)


def _pace(status: Status, quota_left: str) -> str:
    if status.state in (State.FINISHED, State.CANCELLED, State.EXPIRED):
        return _took(status)
    parts = []
    if status.started_at is not None:
        allowed = status.allowed_rate
        of = f" of {rate(allowed)} allowed" if allowed is not None else ""
        parts.append(f"{rate(status.achieved_rate)}{of}")
    if quota_left:
        parts.append(quota_left)
    # Who waits for quota knows from the reason when it goes on; a rate says nothing then.
    if status.eta_seconds is not None and status.totals.total and status.state not in _IDLE:
        parts.append(f"done in {span(status.eta_seconds)}")
    return " · ".join(parts)


def _took(status: Status) -> str:
    if status.started_at is None or status.finished_at is None:
        return ""
    seconds = status.finished_at - status.started_at
    ended = clock.utc(status.finished_at).strftime("%H:%M:%S UTC")
    return f"took {span(seconds)}, until {ended}"
