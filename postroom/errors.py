"""Every error of ours, named for what its catcher must do next."""


class PostroomError(Exception):
    """Root of all errors that Postroom raises on purpose."""


class BadInputError(PostroomError):
    """What was handed in cannot be used: mend it and hand it in again. Says what and where."""


class UnreadableSourceError(PostroomError):
    """The recipients cannot be read: halt the campaign with this line."""


class UnknownCampaignError(PostroomError):
    """There is no such campaign, or its records have expired."""


class RefusedError(PostroomError):
    """The request makes no sense in the campaign's present state: nothing was changed."""


class StoreUnavailableError(PostroomError):
    """Redis did not answer or refused to write: wait, then ask again. Nothing was sent."""


class StoreRefusesError(StoreUnavailableError):
    """Redis answered that it will not do it now, be it read-only or full: nothing was done."""


class MaybeSubmittedError(StoreUnavailableError):
    """Redis broke off at the last step of a submit or a send: it may have been taken in.

    Ask `status` with `campaign_id`; or repeat the call with the same key, which sends nothing
    twice. Without a key a repeat may mail everybody twice.
    """

    def __init__(self, campaign_id: str) -> None:
        super().__init__(
            f"Redis broke off at the last step, so {campaign_id} may have been submitted: "
            f"ask `postroom status {campaign_id}`, or repeat it with the same key"
        )
        self.campaign_id = campaign_id


class UnsafeStoreError(PostroomError):
    """Redis is set up so that it may lose data: mend its settings before starting."""


class LeaseLostError(PostroomError):
    """Another worker has taken this batch: stop at once and settle nothing."""


class CampaignStoppedError(PostroomError):
    """The campaign may not send now (paused, halted, cancelled, expired): leave the batch."""


class BudgetExhaustedError(PostroomError):
    """Nothing can be sent for a while: park the batch for `seconds`. Spends no attempt."""

    def __init__(self, reason: str, *, seconds: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds


class NeedsPersonError(PostroomError):
    """A person must mend something: halt the campaign with this reason, and park the batch."""


class AccountHaltedError(PostroomError):
    """Nothing may be sent on the account until a person resumes it: leave the batch, hold the
    account. It is no fault of the campaign, and spends no attempt.
    """


class WorkerUnfitError(PostroomError):
    """It is this process that cannot send, others may: hand the batch on at once, as it is.

    Spends no attempt.
    """

    def __init__(self, reason: str, *, account: str, sender: str | None) -> None:
        super().__init__(reason)
        self.account = account
        self.sender = sender
        """None: it cannot send for any sender of the account."""


class KeepsFailingError(PostroomError):
    """SES fails again and again: park the batch for a while. Its tries are spent."""


class NewerFormatError(PostroomError):
    """Written by a newer Postroom: leave it for a process of that version."""
