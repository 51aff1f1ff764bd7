"""The account: its settings, its sending rate, its rolling quota, its API request rates."""

from collections.abc import Mapping
from typing import Final

from simulator.errors import OVER_QUOTA, THROTTLED, Refusal, SesError, paused, suspended
from simulator.meters import Bucket, Window
from simulator.settings import Settings

UNLIMITED_RATE: Final = 1_000_000.0  # SES always names a rate; a sender must be told some number
_SEND_OPERATIONS: Final = frozenset({"SendEmail", "SendBulkEmail"})


class Account:
    """Decides on every recipient and every request; remembers what it let through."""

    def __init__(self, settings: Settings, now: float) -> None:
        self.settings = settings
        self.suppressed_reasons: tuple[str, ...] = ("BOUNCE", "COMPLAINT")
        self.window = Window(settings.quota_window)
        self._request_buckets: dict[str, Bucket] = {}
        self._bucket = _rate_bucket(settings, now)

    def change(self, settings: Settings, now: float) -> None:
        """Take over new settings; what was sent stays counted."""
        before, self.settings = self.settings, settings
        if (before.rate, before.burst_seconds) != (settings.rate, settings.burst_seconds):
            self._bucket = _rate_bucket(settings, now)
        if before.quota_window != settings.quota_window:
            self.window = self.window.resized(settings.quota_window, now)
        self._request_buckets.clear()

    def refusal(self, now: float) -> Refusal | None:
        """Why no further message is taken at `now`.

        A message passes while any quota is left, so one to several recipients may overshoot.
        """
        quota = self.settings.quota
        if quota >= 0 and self.window.total(now) >= quota:
            return OVER_QUOTA
        if self.settings.rate > 0 and not self._bucket.is_open(now):
            return THROTTLED
        return None

    def spend(self, *, recipients: int, counted: int, now: float) -> None:
        """Record one accepted message; only `counted` of its recipients weigh on the quota."""
        self._bucket.take(recipients)
        if counted:
            self.window.add(counted, now)

    def lets_request_pass(self, operation: str, now: float) -> bool:
        """Whether the limit of API requests (not of recipients) has room for one more."""
        rate = self._request_rate(operation)
        if rate <= 0:
            return True
        bucket = self._request_buckets.get(operation)
        if bucket is None:
            bucket = self._request_buckets[operation] = Bucket(rate, max(1.0, rate), now)
        if not bucket.is_open(now):
            return False
        bucket.take(1)
        return True

    def standing(self) -> SesError | None:
        """Why the account may not send at all."""
        if self.settings.enforcement_status == "SHUTDOWN":
            return suspended()
        return None if self.settings.sending_enabled else paused()

    def described(self, now: float) -> Mapping[str, object]:
        """The answer of GetAccount."""
        settings = self.settings
        return {
            "DedicatedIpAutoWarmupEnabled": False,
            "EnforcementStatus": settings.enforcement_status,
            "ProductionAccessEnabled": settings.production_access,
            "SendQuota": {
                "Max24HourSend": float(settings.quota),
                "MaxSendRate": settings.rate or UNLIMITED_RATE,
                "SentLast24Hours": float(self.window.total(now)),
            },
            "SendingEnabled": settings.sending_enabled,
            "SuppressionAttributes": {"SuppressedReasons": list(self.suppressed_reasons)},
            "Details": _DETAILS,
            "VdmAttributes": {"VdmEnabled": "DISABLED"},
            "PricingAttributes": {"CurrentPlan": "NONE"},
        }

    def _request_rate(self, operation: str) -> float:
        if operation == "SendBulkEmail":
            return self.settings.bulk_requests_per_second
        if operation in _SEND_OPERATIONS:
            return 0.0
        if operation == "GetAccount" or self.settings.limit_all_management:
            return self.settings.management_rate
        return 0.0


def _rate_bucket(settings: Settings, now: float) -> Bucket:
    return Bucket(settings.rate, max(1.0, settings.rate * settings.burst_seconds), now)


_DETAILS: Final = {
    "MailType": "MARKETING",
    "WebsiteURL": "https://shop.example.com",
    "ContactLanguage": "EN",
    "UseCaseDescription": "Simulated account",
    "AdditionalContactEmailAddresses": ["ops@shop.example.com"],
    "ReviewDetails": {"Status": "GRANTED", "CaseId": "0000000000"},
}
