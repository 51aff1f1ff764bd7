"""Our reading of an SES answer: what to do next about one recipient."""

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What the sender does next."""

    ACCEPTED = "accepted"
    THROTTLED = "throttled"
    """Above the sending rate, not sent: shrink the rate, send again. Spends no attempt."""
    BULK_THROTTLED = "bulk_throttled"
    """SES takes no more SendBulkEmail requests now, not sent: use SendEmail. No attempt."""
    BULK_UNKNOWN = "bulk_unknown"
    """This SES has no SendBulkEmail, not sent: use SendEmail. No attempt."""
    ONE_BY_ONE = "one_by_one"
    """The call was refused for one of its entries, not sent: SendEmail tells which. No attempt."""
    TRANSIENT = "transient"
    """A passing fault, not sent: send again with backoff. Spends an attempt."""
    UNREACHABLE = "unreachable"
    """No way to SES or to the credentials for it, not sent: the account waits. No attempt."""
    AMBIGUOUS = "ambiguous"
    """It may have been sent: nobody can know. Where it is sent again, it spends an attempt."""
    QUOTA = "quota"
    """The daily quota is spent, not sent: wait until it frees. Spends no attempt."""
    STOP_ACCOUNT = "stop_account"
    """SES takes nothing from this account, not sent: a person must act."""
    STOP_WORKER = "stop_worker"
    """This process cannot call SES, others may, not sent: hand it on. Spends no attempt."""
    STOP_CAMPAIGN = "stop_campaign"
    """SES takes nothing of this campaign, not sent: a person must act."""
    UNSENT = "unsent"
    """It never left this process, which was stopping or too slow: send again. No attempt."""
    REJECTED = "rejected"
    """SES will never take this mail for this recipient."""


class Fault(StrEnum):
    """What it is that SES refuses, where its answer says so."""

    UNKNOWN = ""
    CONTENT = "content"
    """What the mail holds: its size, a header."""
    CALL = "call"
    """The call: its parameters, or a MIME that SES cannot read."""


class Verdict(NamedTuple):
    """What to do next about one recipient, and why, in words without anybody's address."""

    kind: Kind
    reason: str = ""
    fault: Fault = Fault.UNKNOWN


ACCEPTED = Verdict(Kind.ACCEPTED)
