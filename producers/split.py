"""Splits one campaign: its source is read from the start and cut into batches.

A producer that goes on where another stopped reads the source again and writes nothing until it
comes to the first batch that is not there; the cut is the same, and so is everything counted.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from postroom.content.fields import fields_of
from postroom.errors import BadInputError
from postroom.intake.lines import Lines
from postroom.intake.reading import read_rows
from postroom.intake.rows import Rows
from postroom.intake.sieve import Sieve, SiftedRecipients
from postroom.intake.unpacking import unpacked
from postroom.model import Campaign, Source
from postroom.remedies import MEND_THE_LIST
from postroom.store.split import SplitLease
from postroom.store.suppression import Suppression
from producers.counters import Counters
from producers.cutting import Cutter, SourceDigest
from producers.retrying import StoreRetry
from producers.writing import Writer


class RefusedListError(BadInputError):
    """The recipients were read to their end, and nobody is to be mailed for them."""

    def __init__(self, reason: str, counters: Counters) -> None:
        super().__init__(reason)
        self.counters = counters


class Split:
    """Takes a campaign's source in and puts batches out."""

    def __init__(self, writer: Writer, suppressed: Suppression, patience: StoreRetry) -> None:
        self._writer = writer
        self._suppressed = suppressed
        self._patience = patience

    def run(
        self, lease: SplitLease, campaign: Campaign, source: Source, chunks: Iterator[bytes]
    ) -> bool:
        """Read the source to its end; returns whether the campaign is finished with that.

        Raises `UnreadableSourceError` or `BadInputError` when a person must look at the source,
        `StopRequested`, `SplitLostError`.
        """
        sieve, counters, mailable = Sieve(), Counters(noted=lease.noted), 0
        written = _Written(lease, campaign.batch_size)
        cutter = Cutter(campaign.batch_size, written.digest)
        begin = next(chunks, None)
        if begin is None and source.url is None:
            return self._writer.finish(counters)  # A service had nobody to mail.
        lines = Lines(unpacked(chain([begin or b""], chunks)))
        for recipients in map(sieve.sift, _rows(lines, campaign, source)):
            counters.add(recipients.bad, recipients.last)
            self._warn(recipients)
            mailable += len(recipients.emails)
            if not (source.strict and counters.first):
                self._add(cutter, written.skip(recipients))
            self._writer.write(cutter.full(), counters)
        counters.add((), lines.lines)
        _refuse(counters, strict=source.strict, nobody=not mailable)
        written.check_end()
        self._writer.write(cutter.rest(), counters)
        return self._writer.finish(counters)

    def _warn(self, recipients: SiftedRecipients) -> None:
        for bad in recipients.bad:
            if bad.kind == "warning":
                self._writer.warn(f"row {bad.row}: {bad.reason}")

    def _add(self, cutter: Cutter, recipients: SiftedRecipients) -> None:
        suppressed = self._patience.ask(lambda: self._suppressed.find(recipients.keys))
        cutter.add(recipients, suppressed)


class _Written:
    """What earlier producers have written already: it is skipped, and must be the same."""

    def __init__(self, lease: SplitLease, batch_size: int) -> None:
        self.digest: Final = SourceDigest()
        self._expected: Final = lease.digest
        self._left = lease.batches * batch_size

    def skip(self, recipients: SiftedRecipients) -> SiftedRecipients:
        """Return those who are in no batch yet. Raises `BadInputError`."""
        if not self._left:
            return recipients
        skipped = min(self._left, len(recipients.emails))
        self._left -= skipped
        self._check(self.digest.add(recipients.emails[:skipped]), due=not self._left)
        return recipients.after(skipped)

    def check_end(self) -> None:
        """The source has ended, perhaps within what was written. Raises `BadInputError`."""
        if self._left:
            self._check(self.digest.add(()), due=True)

    def _check(self, digest: str, *, due: bool) -> None:
        if due and digest != self._expected:
            raise BadInputError(
                "the source is another than the one that was read before: put that one back "
                "and resume, or cancel the campaign"
            )


def _rows(lines: Lines, campaign: Campaign, source: Source) -> Iterator[Rows]:
    """Read what a submitter shipped with its words in the reasons, any other source without."""
    shipped = source.url is None
    return read_rows(lines, fields_of(campaign), quoting=shipped, email=source.email_column)


def _refuse(counters: Counters, *, strict: bool, nobody: bool) -> None:
    """Raise `RefusedListError` when nobody, or with `strict` not everybody, can be mailed."""
    if (first := counters.first) is None:
        return
    rows = f"{counters.counts.invalid:,} row{'s' if counters.counts.invalid > 1 else ''}"
    why = f"row {first.row}: {first.reason}"
    if nobody:
        told = f"none of {rows} can be mailed: {why}; {MEND_THE_LIST}"
        raise RefusedListError(told, counters)
    if strict:
        told = f"{rows} cannot be mailed, the first being {why}; strict: {MEND_THE_LIST}"
        raise RefusedListError(told, counters)
