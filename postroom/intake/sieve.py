"""Addresses checked, repeated ones dropped, by column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from postroom.content.address import NotAnAddressError, is_plain, sendable
from postroom.intake.rows import Rows, invalid
from postroom.intake.seen import Seen
from postroom.model import BadRow


@dataclass(frozen=True, slots=True)
class SiftedRecipients:
    """Recipients by column, none of them twice."""

    emails: Sequence[str]
    keys: Sequence[str]
    """The addresses in their normal form."""
    fields: dict[str, Sequence[Any]]
    bad: list[BadRow]
    last: int

    def after(self, count: int) -> "SiftedRecipients":
        """Leave out the first `count`."""
        if not count:
            return self
        fields = {name: column[count:] for name, column in self.fields.items()}
        return SiftedRecipients(self.emails[count:], self.keys[count:], fields, self.bad, self.last)


class Sieve:
    """Lets every good address through once."""

    def __init__(self) -> None:
        self._seen: Final = Seen()

    def sift(self, rows: Rows) -> SiftedRecipients:
        emails = list(map(str.strip, rows.emails))
        wrong: dict[int, BadRow] = {}
        if not all(map(is_plain, emails)):
            wrong = _mended(emails, rows.numbers)
        rows = Rows(rows.numbers, emails, rows.fields, rows.bad, rows.last).without(wrong)
        keys = _normal(rows.emails)
        repeated = {
            at: BadRow(row=rows.numbers[at], kind="duplicate", reason="the address came before")
            for at in self._seen.repeats(keys)
        }
        if repeated:
            rows = rows.without(repeated)
            keys = _normal(rows.emails)
        bad = sorted(rows.bad, key=lambda row: row.row)
        return SiftedRecipients(rows.emails, keys, rows.fields, bad, rows.last)


def _normal(stripped: Sequence[str]) -> list[str]:
    """As `address.normal`, for many at a time that `sendable` returned or `is_plain` took."""
    return list(map(str.lower, stripped))


def _mended(emails: list[str], numbers: Sequence[int]) -> dict[int, BadRow]:
    """Put addresses in the form SES takes, in place; return the positions of those it never will.

    The fast test lets no bad address through, but refuses some good ones.
    """
    wrong = {}
    for at, email in enumerate(emails):
        if not is_plain(email):
            try:
                emails[at] = sendable(email)
            except NotAnAddressError as error:
                wrong[at] = invalid(numbers[at], str(error))
    return wrong
