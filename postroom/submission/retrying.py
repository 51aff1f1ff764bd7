"""Sends a campaign again to some of those it did not reach, nobody more than once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from postroom import wire
from postroom.errors import BadInputError, RefusedError
from postroom.ids import is_segment, place_of
from postroom.model import Campaign, CampaignId, Outcome, Recipient, Submission
from postroom.settings import Store as StoreSettings
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store
from postroom.store.live import Live
from postroom.store.retries import Retries
from postroom.store.submit_keys import SubmitKeys


class Submit(Protocol):
    """Submits a campaign with these recipients under a key."""

    def __call__(
        self, campaign: Campaign, recipients: Iterable[Recipient], *, key: str, by: str
    ) -> Submission: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Retriable:
    """Recipients of a campaign who share an outcome and a reason, and may be mailed once more."""

    outcome: Outcome
    reason: str
    """Of a rejection; else empty."""
    recipients: int
    retried_by: CampaignId | None
    """The campaign that mails them once more; None while there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Who is to be mailed once more."""

    rejected: str | None = None
    """Words of the reason, in any case; an empty text for every reason."""
    ambiguous: bool = False
    expired: bool = False

    def __post_init__(self) -> None:
        if self.rejected is None and not (self.ambiguous or self.expired):
            raise BadInputError("retry: say whom: rejected, ambiguous or expired")

    def includes(self, one: Retriable) -> bool:
        if one.outcome is Outcome.REJECTED:
            return self.rejected is not None and self.rejected.lower() in one.reason.lower()
        return self.ambiguous if one.outcome is Outcome.AMBIGUOUS else self.expired

    def __str__(self) -> str:
        rejected = [] if self.rejected is None else [f"rejected for {self.rejected!r}"]
        return " or ".join(rejected + ["ambiguous"] * self.ambiguous + ["expired"] * self.expired)


class Retrier:
    """What `Postroom.retry` and `Postroom.retriable` do; see there for the contracts."""

    def __init__(self, store: Store, settings: StoreSettings, submit: Submit) -> None:
        self._store: Final = store
        self._submit: Final = submit
        self._campaigns: Final = Campaigns(store, settings)
        self._retries: Final = Retries(store)
        self._keys: Final = SubmitKeys(store, keep_seconds=settings.draft_seconds)

    def retriable(self, campaign_id: CampaignId) -> Sequence[Retriable]:
        _refuse_message(campaign_id)
        return list(self._by_code(campaign_id).values())

    def retry(self, campaign_id: CampaignId, wanted: Wanted, *, by: str) -> Sequence[Submission]:
        _refuse_message(campaign_id)
        if not self._campaigns.info(campaign_id).over:
            raise RefusedError(f"campaign {campaign_id} is not over: more may need it yet")
        by_code = self._by_code(campaign_id)
        codes = [code for code, one in by_code.items() if wanted.includes(one)]
        if not codes:
            raise BadInputError(f"nobody of {campaign_id} is {wanted}")
        campaign = _again(Live(self._store).submitted(campaign_id)[0])
        retries = sorted(self._retries.claim(campaign_id, codes, by=by))
        return [self._one(campaign_id, campaign, number, by) for number in retries]

    def _by_code(self, campaign_id: CampaignId) -> Mapping[int, Retriable]:
        marks, reasons = self._retries.marks(campaign_id), self._retries.reasons(campaign_id)
        by = {mark: self._keys.named(_key(campaign_id, mark)) for mark in set(marks.values())}
        return {
            code: Retriable(
                outcome=wire.outcome_of(code),
                reason=reasons.get(code, ""),
                recipients=count,
                retried_by=by[marks[code]] if code in marks else None,
            )
            for code, count in self._retries.counts(campaign_id).items()
        }

    def _one(self, campaign_id: CampaignId, campaign: Campaign, number: int, by: str) -> Submission:
        """Submit one retry, to all it was begun for: it may have died before it was submitted."""
        marks = self._retries.marks(campaign_id).items()
        codes = {code for code, mark in marks if mark == number}
        people = self._retries.recipients(campaign_id, codes)
        return self._submit(campaign, people, key=_key(campaign_id, number), by=by)


def _refuse_message(campaign_id: CampaignId) -> None:
    if is_segment(campaign_id) or place_of(campaign_id):
        raise RefusedError(
            f"cannot retry message {campaign_id}: neither its address nor its text is kept; "
            "hand it in again, under another key"
        )


def _key(campaign_id: CampaignId, number: int) -> str:
    return f"retry {campaign_id} {number}"


def _again(campaign: Campaign) -> Campaign:
    """Return a campaign to be sent once more: at once, and with no end to its time."""
    return replace(campaign, name=f"{campaign.name} (retry)", send_at=None, not_after=None)
