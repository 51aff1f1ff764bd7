"""What a person types about something that is wrong."""

from typing import Final

from postroom import redis_url
from postroom.model import CampaignId

START_WORKER: Final = "celery -A worker.app worker"
START_PRODUCER: Final = "celery -A producers.app worker"
REPAIR: Final = "postroom doctor --repair"

MEND_THE_LIST: Final = "nothing was sent; submit a mended list"
"""Ends the reason of a list refused as a whole: its rows stay as they are, whoever resumes."""


def after_halt(campaign_id: CampaignId, reason: str) -> str:
    """Return the command that follows a halt, once its cause is mended."""
    if reason.endswith(MEND_THE_LIST):
        return f"postroom cancel {campaign_id}"
    if "instead of" in reason and "has another" in reason:
        return f"postroom rebind {campaign_id}"
    return f"postroom resume {campaign_id}"


def hint_after_halt(campaign_id: CampaignId, reason: str) -> str:
    """Say what to do about a halt, on one line."""
    command = after_halt(campaign_id, reason)
    if reason.endswith(MEND_THE_LIST):
        return f"to be rid of this one: {command}"
    if command.startswith("postroom rebind"):
        return f"if the new settings are meant: {command}; else mend them, then postroom resume"
    return f"when that is mended: {command}"


def redis_config(url: str, setting: str) -> str:
    """Return the command that changes one setting of the Redis at `url`, without its password."""
    return f"redis-cli -u {redis_url.without_password(url)} config set {setting}"
