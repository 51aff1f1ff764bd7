"""What `postroom check` says of a list of recipients: every row, and a mail for the first ones."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, BinaryIO, Final

from postroom.cli import rows
from postroom.cli.sampling import ROWS, Sample, sample
from postroom.cli.wording import count, many
from postroom.content.fields import fields_of
from postroom.errors import BadInputError, StoreUnavailableError
from postroom.intake.look import Looked
from postroom.model import BadRow, Campaign
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.suppression import Suppression

_COLUMNS: Final = ("row", "kind", "reason")

Found = tuple[str, str, str]
"""A level, what it is about, and the detail."""


def look_at(
    raw: BinaryIO,
    campaign: Campaign,
    loaded: Settings,
    *,
    email: str | None,
    bad_rows: Path | None,
    strict: bool,
) -> tuple[Looked, Sequence[Found]]:
    """Read all recipients; write the bad rows, if that is asked for. Raises `BadInputError`."""
    fields = fields_of(campaign)
    with ExitStack() as stack:
        known = _Suppressed(stack.enter_context(closing(Store(loaded.redis))))
        write = _writer(bad_rows, stack)
        looked = rows.looked(raw, fields, email=email, suppressed=known.find, each=write)
    found = [_about_rows(looked, strict=strict), *known.unknown()]
    if looked.warning is not None:
        found.append(("warning", "encoding", f"row {looked.warning.row}: {looked.warning.reason}"))
    first = sample(rows.begin(raw, fields, ROWS, email=email), campaign)
    return looked, [*found, *_about_mails(first)]


class _Suppressed:
    """The suppression list, if Redis is there to be asked."""

    def __init__(self, store: Store) -> None:
        self._list = Suppression(store)
        self._away = ""

    def find(self, keys: Sequence[str]) -> Sequence[int]:
        if self._away:
            return ()
        try:
            return self._list.find(keys)
        except StoreUnavailableError as error:
            self._away = str(error)
            return ()

    def unknown(self) -> Iterator[Found]:
        if self._away:
            yield "unknown", "suppressed", f"the suppression list was not asked: {self._away}"


def row_record(bad: BadRow) -> dict[str, Any]:
    return {"row": bad.row, "kind": bad.kind, "reason": bad.reason}


def _writer(path: Path | None, stack: ExitStack) -> Any:
    """Return what takes bad rows as they are found."""
    if path is None:
        return lambda _: None
    try:
        file = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
    except OSError as error:
        raise BadInputError(f"--bad-rows {path}: {error.strerror}") from None
    writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    return lambda found: writer.writerows(map(row_record, found))


def _about_rows(looked: Looked, *, strict: bool) -> Found:
    counted = (
        (looked.invalid, "invalid"),
        (looked.duplicate, "repeated"),
        (looked.suppressed, "suppressed"),
    )
    told = " · ".join(
        [f"{count(looked.good)} can be mailed"]
        + [f"{count(number)} {what}" for number, what in counted if number]
    )
    if looked.invalid and (strict or not looked.good):
        return "problem", "recipients", told
    return "warning" if looked.invalid or not looked.good else "ok", "recipients", told


def _about_mails(first: Sample) -> Iterator[Found]:
    if not first.looked_at:
        return
    seen = many(first.looked_at, "row")
    if not first.bad:
        yield "ok", "mails", f"a mail can be made of each of the first {seen}"
        return
    row, fault = first.bad[0]
    every = len(first.bad) == first.looked_at
    of = "any" if every else f"{len(first.bad)}"
    told = f"no mail can be made of {of} of the first {seen}; row {row}: {fault}"
    yield "problem" if every else "warning", "mails", told
