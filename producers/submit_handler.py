"""Submits campaigns for services that do not install Postroom."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

import msgspec
import structlog

from postroom.broker import queues
from postroom.client import Postroom
from postroom.errors import BadInputError
from postroom.ids import same_campaign_id
from postroom.model import Campaign, Submission
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.drafts import Drafts

MOST_INLINE: Final = 1_000
"""Recipients in one message: some hundreds of kilobytes, which the broker holds in memory, and a
producer that dies leaves there for the next."""
_KEYS: Final = frozenset(field.name for field in fields(Campaign))

log = structlog.get_logger()


class SubmitHandler:
    """Takes campaigns in."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._post: Final = Postroom(settings=settings, by=queues.SUBMIT)
        self._drafts: Final = Drafts(store, settings.store)

    def submit(self, campaign: Mapping[str, Any], recipients: object, key: str) -> str:
        """Submit a campaign whose recipients a producer can read, or are a list of a few;
        return what became of it.

        One that cannot be used is recorded as halted with the reason, as nobody waits for the
        answer. Raises `StoreUnavailableError`, and `RefusedError` while another submit with the
        key is under way: give the task back.
        """
        try:
            submission = self._submit(converted(campaign), recipients, key)
        except BadInputError as error:
            # A message that is delivered again is the same record again.
            campaign_id = same_campaign_id(repr((campaign, recipients, key)).encode())
            name = str(campaign.get("name") or "")
            self._drafts.record_refused(campaign_id, name=name, reason=str(error))
            log.warning("campaign.refused", campaign_id=campaign_id, reason=str(error))
            return f"refused: {campaign_id} says why"
        log.info("campaign.submitted", campaign_id=submission.id, created=submission.created)
        return f"{'submitted' if submission.created else 'submitted before'}: {submission.id}"

    def _submit(self, campaign: Campaign, recipients: object, key: str) -> Submission:
        if isinstance(recipients, str):
            return self._post.submit(campaign, source=recipients, key=key)
        if not isinstance(recipients, list):
            raise BadInputError("recipients: neither the address of a source nor a list")
        if len(recipients) > MOST_INLINE:
            raise BadInputError(
                f"recipients: {len(recipients):,} in one message, which takes {MOST_INLINE:,}; "
                "write them to a file or to S3 and name that"
            )
        return self._post.submit(campaign, recipients, key=key)


def converted(record: Mapping[str, Any]) -> Campaign:
    """Read a campaign from JSON. Raises `BadInputError` with the key and what is wrong."""
    if unknown := sorted(record.keys() - _KEYS):
        raise BadInputError(f"campaign: unknown key {unknown[0]!r}")
    try:
        return msgspec.convert(record, Campaign)
    except msgspec.ValidationError as error:
        raise BadInputError(f"campaign: {error}") from None
