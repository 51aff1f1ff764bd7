"""How a campaign looks: a block that is drawn again and again, one line, a row among others."""

from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from postroom.cli.wording import count, moment, printable, rate, span
from postroom.model import Outcome, State, Status, Totals
from postroom.remedies import hint_after_halt

STYLES: Final = {
    State.SENDING: "bold green",
    State.FINISHED: "bold green",
    State.WAITING: "bold yellow",
    State.PAUSED: "bold yellow",
    State.HALTED: "bold red",
    State.CANCELLED: "bold magenta",
    State.EXPIRED: "bold magenta",
}
_MARKED: Final = {
    "accepted": "green",
    "delivered": "green",
    "rejected": "red",
    "ambiguous": "yellow",
    "invalid": "yellow",
    "bounced": "red",
    "complained": "red",
}
"""What a tired eye must not miss among the figures."""
_OPEN: Final = (Outcome.PENDING, Outcome.SENDING)
_BESIDE: Final = ("invalid", "duplicate", "delivered", "bounced", "complained")
_IDLE: Final = (State.WAITING, State.PAUSED, State.HALTED)
_GROWING: Final = (State.RECEIVING, State.SPLITTING)


def in_vain(status: Status) -> bool:
    """Whether a campaign went to its end and nobody of its recipients was accepted."""
    books = status.totals
    return status.state is State.FINISHED and books.total > 0 and not books.accepted


def style_of(status: Status) -> str:
    return "bold yellow" if in_vain(status) else STYLES.get(status.state, "")


def settled(books: Totals) -> int:
    return books.total - books.pending - books.sending


def block(status: Status, quota_left: str = "") -> RenderableType:
    """The campaign in a few lines, for a terminal."""
    books = status.totals
    lines: list[RenderableType] = [_title(status), _with_figures(_bar(status), books)]
    lines.append(_outcomes(status))
    if pace := _pace(status, quota_left):
        lines.append(Text(pace, style="cyan"))
    if status.reason:
        lines.append(Text(printable(status.reason), style=STYLES.get(status.state, "")))
    if status.warning:
        lines.append(Text(printable(status.warning), style="yellow"))
    if status.state is State.PAUSED:
        lines.append(Text(f"goes on with: postroom resume {status.id}", style="dim"))
    if status.state is State.HALTED:
        lines.append(Text(hint_after_halt(status.id, status.reason), style="dim"))
    return Group(*lines)


def line(status: Status, quota_left: str = "") -> str:
    """The campaign on one line, for a log."""
    books = status.totals
    parts = [
        f"{status.state}  {count(settled(books))} of {count(books.total)}",
        _counted(books),
        _pace(status, quota_left),
        printable(status.reason),
        printable(status.warning),
    ]
    return " · ".join(part for part in parts if part)


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
        (status.state.value, style_of(status)),
    )


def _bar(status: Status) -> ProgressBar:
    books = status.totals
    style = (style_of(status) or "cyan").removeprefix("bold ")
    return ProgressBar(
        total=max(books.total, 1),
        completed=settled(books),
        pulse=status.state in _GROWING,
        complete_style=style,
        finished_style=style,
        pulse_style="cyan",
    )


def _with_figures(bar: ProgressBar, books: Totals) -> Table:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    # Not rounded up: 100 % is said when nobody is left.
    share = 100 * settled(books) // books.total if books.total else 0
    grid.add_row(bar, f"{count(settled(books))} of {count(books.total)} · {share} %")
    return grid


def _outcomes(status: Status) -> Text:
    counts = _counts(status.totals)
    told = [(f"{name} {count(number)}", _MARKED.get(name, "")) for name, number in counts]
    nothing = "nobody to mail" if status.state is State.FINISHED else "nothing sent yet"
    return Text(" · ").join(Text(*one) for one in told) or Text(nothing, style="dim")


def _counted(books: Totals) -> str:
    return " · ".join(f"{name} {count(number)}" for name, number in _counts(books))


def _counts(books: Totals) -> list[tuple[str, int]]:
    """What is settled and what is counted beside it, where there is any."""
    named = [*(one.value for one in Outcome if one not in _OPEN), *_BESIDE]
    return [(name, number) for name in named if (number := getattr(books, name))]


def _pace(status: Status, quota_left: str) -> str:
    if status.state in (State.FINISHED, State.CANCELLED, State.EXPIRED):
        return _took(status)
    parts = []
    if status.achieved_rate and status.state not in _IDLE:
        allowed = status.allowed_rate
        of = f" of {rate(allowed)} allowed" if allowed is not None else ""
        parts.append(f"{rate(status.achieved_rate)}{of}")
    if quota_left:
        parts.append(quota_left)
    # Who waits knows from the reason when it goes on; a rate says nothing then.
    if status.eta_seconds is not None and status.totals.total and status.state not in _IDLE:
        parts.append(f"done in {span(status.eta_seconds)}")
    return " · ".join(parts)


def _took(status: Status) -> str:
    if status.started_at is None or status.finished_at is None:
        return ""
    seconds = status.finished_at - status.started_at
    return f"took {span(seconds)}, until {moment(status.finished_at)}"
