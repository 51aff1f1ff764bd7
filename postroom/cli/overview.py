"""Many campaigns, each on a line that fits; why one does not go on stands below it."""

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from postroom.cli.view import STYLES
from postroom.cli.wording import count, day_or_time, printable
from postroom.model import Status

_GAP: Final = "  "
_LEAST_NAME: Final = 8
_INDENT: Final = 4


def overview(statuses: Sequence[Status], *, width: int) -> RenderableType:
    """Return the campaigns in lines of so many columns, in the order given."""
    head = ("id", "when", "state", "accepted", "name")
    rows = [_cells(one) for one in statuses]
    widths = [max(cell_len(row[at]) for row in (head, *rows)) for at in range(len(head) - 1)]
    left = max(_LEAST_NAME, width - sum(widths) - len(_GAP) * len(widths))
    lines: list[RenderableType] = [Text(_line(head, widths, left), style="bold")]
    for one, row in zip(statuses, rows, strict=True):
        line = Text(_line(row, widths, left), no_wrap=True, overflow="crop")
        start = sum(widths[:2]) + 2 * len(_GAP)
        line.stylize(STYLES.get(one.state, ""), start, start + len(row[2]))
        lines.append(line)
        if one.reason:
            lines.append(Padding(Text(printable(one.reason), style="dim"), (0, 0, 0, _INDENT)))
    return Group(*lines)


def _cells(one: Status) -> tuple[str, str, str, str, str]:
    when = day_or_time(one.created_at) if one.created_at else ""
    books = f"{count(one.totals.accepted)} of {count(one.totals.total)}"
    return one.id, when, one.state.value, books, printable(one.name)


def _line(row: Sequence[str], widths: Sequence[int], left: int) -> str:
    cells = [set_cell_size(cell, width) for cell, width in zip(row, widths, strict=False)]
    name = row[-1]
    if cell_len(name) > left:
        name = f"{set_cell_size(name, left - 1)}…"
    return _GAP.join([*cells, name])
