"""Names of queues and tasks: what producers and workers agree on without importing each other."""

from typing import Final

CAMPAIGNS: Final = "campaigns"
BATCHES: Final = "batches"
TRANSACTIONAL: Final = "transactional"

SUBMIT: Final = "postroom.submit"
"""(campaign, recipients, key): submit a campaign; a producer reads its recipients itself from the
address of a source, or they are a list of up to 1,000."""
SPLIT: Final = "postroom.split"
"""(campaign_id): cut one campaign into batches."""
SEND_BATCH: Final = "postroom.send_batch"
"""(campaign_id, batch_number): send what is open in one batch."""
