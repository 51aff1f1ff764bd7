"""What a service uses: submit a campaign, see how it stands, steer it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from postroom import clock
from postroom import settings as settings_module
from postroom.content.address import normal, sendable
from postroom.messaging import Messaging
from postroom.model import (
    BadRow,
    Campaign,
    CampaignId,
    Mail,
    Outcome,
    Recipient,
    ReportRow,
    State,
    Status,
    Submission,
)
from postroom.operations import Operations
from postroom.parts import put_together
from postroom.settings import Settings
from postroom.submission.retrying import Retriable, Wanted
from postroom.submission.shipping import Recipients
from postroom.submission.suppressing import suppress_many
from postroom.views.catalogue import Search
from postroom.views.pace import over
from postroom.whoami import this_user

if TYPE_CHECKING:
    from postroom.intake.look import Looked


class Postroom(Messaging, Operations):
    """The door for services. Connects when first used; safe to share between threads.

    Every method raises `StoreUnavailableError` when Redis is away: wait, then ask again.
    """

    def __init__(
        self,
        redis_url: str | None = None,
        *,
        settings: Settings | None = None,
        by: str | None = None,
    ) -> None:
        """Without `settings` they are read as every process of Postroom reads them.

        `by` stands in the event logs as who submits and steers, where a call names nobody else:
        a service gives its name; else it is user@host.
        """
        self._by = by or this_user()
        self._parts = put_together(settings or settings_module.load(), redis_url)

    def submit(
        self,
        campaign: Campaign,
        recipients: Recipients | None = None,
        *,
        raw: BinaryIO | None = None,
        source: str | None = None,
        key: str | None = None,
        strict: bool = False,
        email_column: str | None = None,
        by: str | None = None,
    ) -> Submission:
        """Hand in a campaign with its recipients, given in one of three ways.

        `recipients`: addresses, mappings with `email`, or `Recipient`s, from any iterable.
        `raw`: an open file of CSV or JSON Lines, gzip or not. `source`: where a producer reads
        such a file itself, `s3://bucket/key` or `file:///path`.

        `email_column` names the address's column, if that is not `email`. The same `key` again
        returns the campaign it named and sends nothing. With `strict` one bad row halts the
        campaign before anything is sent, and always a list of which nobody can be mailed. Raises
        `BadInputError`, and `RefusedError` while another submit with this key is under way.
        """
        return self._parts.submitter.submit(
            campaign,
            recipients,
            raw=raw,
            source=source,
            key=key,
            strict=strict,
            email_column=email_column,
            by=by or self._by,
        )

    def render(self, campaign: Campaign, recipient: Recipient | Mapping[str, Any] | str) -> Mail:
        """Return the mail that a recipient of a campaign would get. Sends nothing.

        Raises `BadInputError` for a campaign that `submit` refuses, and when no mail can be made.
        """
        return self._parts.preview.render(campaign, recipient)

    def check(self, campaign: Campaign, recipients: Recipients) -> "Looked":
        """Tell who of these could be mailed, as a producer will find it. Sends nothing.

        Raises `BadInputError` for a campaign or a list that `submit` refuses.
        """
        return self._parts.preview.check(campaign, recipients)

    def retriable(self, campaign_id: str) -> Sequence[Retriable]:
        """Return whom `retry` could mail once more, by outcome and reason. Changes nothing.

        Raises `UnknownCampaignError`.
        """
        return self._parts.retrier.retriable(CampaignId(campaign_id))

    def retry(
        self,
        campaign_id: str,
        *,
        rejected: str | None = None,
        ambiguous: bool = False,
        expired: bool = False,
        by: str | None = None,
    ) -> Sequence[Submission]:
        """Submit a campaign again to who was rejected for a reason with these words, who is
        ambiguous (and may have the mail already), or for whom it came too late.

        Nobody is retried twice: who was before is answered with the campaign that did it,
        `created` being false; so there may be several. Raises `BadInputError` when nobody is
        meant, `RefusedError` while the campaign is not over, and what `submit` raises.
        """
        wanted = Wanted(rejected=rejected, ambiguous=ambiguous, expired=expired)
        return self._parts.retrier.retry(CampaignId(campaign_id), wanted, by=by or self._by)

    def status(self, campaign_id: str) -> Status:
        """Return how a campaign or a message stands. Raises `UnknownCampaignError`."""
        if place := self._parts.reader.place(CampaignId(campaign_id)):
            return self._parts.reader.status(place)
        return self._parts.statuses.read(CampaignId(campaign_id))

    def list(
        self,
        limit: int = 50,
        *,
        after: datetime | None = None,
        state: State | None = None,
        name: str | None = None,
        key: str | None = None,
    ) -> list[Status]:
        """Return campaigns, newest first: those created `after` a moment, in a `state`, with
        these words in their `name`; or the one campaign or message that a `key` names.

        The newest 10,000 are looked at.
        """
        search = Search(after=after, state=state, name=name, key=key)
        return self._parts.catalogue.find(search, limit)

    def watch(
        self, campaign_id: str, interval: float = 1.0, *, sleep: clock.Sleep = clock.sleep
    ) -> Iterator[Status]:
        """Yield how a campaign stands until it is over."""
        while True:
            status = self.status(campaign_id)
            yield status
            if over(status):
                return
            sleep(interval)

    def pause(self, campaign_id: str, *, by: str | None = None) -> None:
        """Stop sending until `resume`. Raises `RefusedError`, `UnknownCampaignError`."""
        self._parts.steering.pause(CampaignId(campaign_id), by=by or self._by)

    def resume(self, campaign_id: str, *, by: str | None = None) -> None:
        """Go on after a pause or a halt, be it of the campaign or of its account.

        All else on a halted account goes on with it; one that a person paused stays paused.
        Raises `RefusedError`, `UnknownCampaignError`.
        """
        self._parts.steering.resume(self._mailing(campaign_id), by=by or self._by)

    def cancel(self, campaign_id: str, *, by: str | None = None) -> None:
        """Stop for good. Raises `RefusedError`, `UnknownCampaignError`."""
        self._parts.steering.cancel(CampaignId(campaign_id), by=by or self._by)

    def report(
        self, campaign_id: str, *, outcome: Outcome | Collection[Outcome] | None = None
    ) -> Iterator[ReportRow]:
        """Yield what became of every recipient, or of those with such an outcome.

        Raises `UnknownCampaignError`.
        """
        only = {outcome} if isinstance(outcome, str) else set(outcome or Outcome)
        if place := self._parts.reader.place(CampaignId(campaign_id)):
            row = self._parts.reader.report(place)
            return iter([row] if row.outcome in only else [])
        return self._parts.reports.rows(CampaignId(campaign_id), only=only)

    def bad_rows(self, campaign_id: str) -> Sequence[BadRow]:
        """Return the first thousand rows that nobody is mailed for, and why."""
        return self._parts.reports.bad_rows(CampaignId(campaign_id))

    def suppress(self, address: str, reason: str) -> None:
        """Never mail an address again. Raises `BadInputError` when it is none."""
        self._parts.suppression.add(normal(sendable(address)), reason)

    def suppress_many(self, addresses: Iterable[str], reason: str) -> Sequence[BadRow]:
        """Never mail any of these again. Returns which of them, counted from 1, are no addresses
        and so cannot be mailed anyway; all others are on the list then.
        """
        return suppress_many(self._parts.suppression, addresses, reason)

    def unsuppress(self, address: str) -> bool:
        """Take an address off the list; returns whether it was on it."""
        return self._parts.suppression.remove(normal(sendable(address)))

    def suppressed(self) -> Iterator[tuple[str, str]]:
        """Yield every suppressed address and why."""
        return iter(self._parts.suppression)

    def close(self) -> None:
        self._parts.publisher.close()
        self._parts.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
