"""What an operator does through the client: accounts, processes, what is wrong, and mending it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from postroom.dispatch.accounts import AccountStatus
from postroom.model import AccountName, CampaignId
from postroom.parts import Parts
from postroom.views.processes import Process, processes

if TYPE_CHECKING:
    from postroom.dispatch.rebinding import Rebinding
    from postroom.health.doctor import Complaint
    from postroom.health.janitor import Repair
    from postroom.store.account_totals import PaceCell
    from postroom.store.event_log import LogEntry


class Operations:
    """Every method raises `StoreUnavailableError` when Redis is away: wait, then ask again."""

    _parts: Parts
    _by: str
    """Who steers, where a call names nobody else."""

    def accounts(self) -> Sequence[AccountStatus]:
        """Return how every account stands, by name."""
        return self._parts.accounts.all()

    def account(self, account: str) -> AccountStatus:
        """Raises `BadInputError` when nobody knows the account."""
        return self._parts.accounts.status(AccountName(account))

    def pause_account(self, account: str, *, by: str | None = None) -> None:
        """Stop all that is sent on an account until `resume_account`.

        Raises `BadInputError` when nobody knows the account.
        """
        self._parts.accounts.pause(AccountName(account), by=by or self._by)

    def resume_account(self, account: str, *, by: str | None = None) -> None:
        """Let all campaigns and messages of an account go on, after a pause or a halt.

        Raises `BadInputError` when nobody knows the account.
        """
        self._parts.accounts.resume(AccountName(account), by=by or self._by)

    def log(self, campaign_id: str) -> "Sequence[LogEntry]":
        """Return what happened to a campaign, oldest first; what happened to its account in its
        time names the account.

        Raises `UnknownCampaignError`.
        """
        return self._parts.history().campaign(self._mailing(campaign_id))

    def account_log(self, account: str) -> "Sequence[LogEntry]":
        """Return what happened to an account, oldest first: the last 200 entries.

        Raises `BadInputError` when nobody knows the account.
        """
        return self._parts.history().account(self._known(account))

    def account_totals(self, account: str) -> Mapping[str, int]:
        """Return what calls to SES brought since ever, as `accepted:bulk` and `calls:single:ok`.

        They only grow. Raises `BadInputError` when nobody knows the account.
        """
        return self._parts.account_totals().totals(self._known(account))

    def account_pace(self, account: str) -> "Sequence[PaceCell]":
        """Return the last hour in cells of ten seconds, oldest first; those with no call lack.

        Raises `BadInputError` when nobody knows the account.
        """
        return self._parts.account_totals().pace(self._known(account))

    def processes(self) -> Sequence[Process]:
        """Return the workers and producers that run, and what ails them."""
        return processes(self._parts.store)

    def examine(self) -> "Sequence[Complaint]":
        """Return what is wrong on Redis, and the command that mends it. Changes nothing."""
        return self._parts.doctor().examine()

    def repair(self) -> "Sequence[Repair]":
        """Do at once what the workers' janitor does by itself; return what was repaired."""
        return self._parts.doctor().repair()

    def binding(self, campaign_id: str) -> "Rebinding":
        """Return what a campaign's sender meant when it was taken in, and what it means now.

        Raises `UnknownCampaignError`, and `RefusedError` when it cannot be bound anew.
        """
        return self._parts.rebinder().proposed(self._mailing(campaign_id))

    def rebind(
        self,
        campaign_id: str,
        proposed: "Rebinding | None" = None,
        *,
        by: str | None = None,
    ) -> "Rebinding":
        """Let a campaign go by what its sender means now; return what changed.

        With `proposed`, by what `binding` has shown. Raises as `binding` does, and
        `RefusedError` when it is over or somebody else has bound it meanwhile.
        """
        shown = proposed or self._parts.rebinder().proposed(self._mailing(campaign_id))
        self._parts.rebinder().rebind(self._mailing(campaign_id), shown, by=by or self._by)
        return shown

    def _known(self, account: str) -> AccountName:
        return self._parts.accounts.known(AccountName(account))

    def _mailing(self, one: str) -> CampaignId:
        """Return what has books: of a message its segment. Raises `UnknownCampaignError`."""
        place = self._parts.reader.place(CampaignId(one))
        return place.segment if place else CampaignId(one)
