"""Read what SES, the network or the AWS SDK answered to one call, into verdicts."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from worker.ses import codes, faults
from worker.ses.codes import Rule
from worker.ses.verdict import ACCEPTED, Fault, Kind, Verdict
from worker.ses.wording import without_recipients

BULK: Final = "SendBulkEmail"
SINGLE: Final = "SendEmail"

_NOT_VERIFIED: Final = re.compile(r"failed the check|not verified", re.IGNORECASE)
_REGION: Final = re.compile(r"in region ([A-Za-z0-9-]+)")
_RESOURCE: Final = re.compile(
    r"on resource:? [`'\"]?arn:[^:]*:[^:]*:[^:]*:[^:]*:"
    r"(?P<kind>[\w-]+)/(?P<name>[^\s`'\"]+)"
)
_ACTION: Final = re.compile(r"ses:\w+")

_MAX_TEXT: Final = 2_048
"""So much of a text is read. SES writes a line; a proxy in between may write a megabyte."""

Json = Mapping[str, Any]


class Reader:
    """Knows what was asked of one call: to judge an answer, and to leave recipients out of it."""

    def __init__(self, operation: str, region: str, sender: str, recipients: Sequence[str]) -> None:
        self._operation = operation
        self._region = region
        self._sender = sender
        self._recipients = recipients

    def results(self, answer: Json) -> list[Verdict]:
        """Return one verdict for each entry of a bulk call that was answered."""
        found = answer.get("BulkEmailEntryResults")
        results = list(found) if isinstance(found, Sequence) and not isinstance(found, str) else []
        missing = len(self._recipients) - len(results)
        verdicts = [
            ACCEPTED
            if isinstance(one, dict) and one.get("Status") == "SUCCESS"
            else self._entry(to, one)
            for to, one in zip(self._recipients, results, strict=False)
        ]
        return verdicts + [_no_answer()] * missing

    def result(self, answer: Json) -> Verdict:
        """Return the verdict of a single call that was answered."""
        return ACCEPTED if answer.get("MessageId") else _no_answer()

    def failure(self, error: Exception, *, left: bool) -> Verdict:
        """Return the verdict of all mails of a call that ended in an error.

        `left` says whether its request may have gone out.
        """
        if not isinstance(error, ClientError):
            return faults.verdict(error, left=left)
        if error.operation_name != self._operation:
            return faults.credentials_verdict(error)
        told = error.response.get("Error") or {}
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0
        return self._call(_read(told.get("Code") or status), _read(told.get("Message")), status)

    def _entry(self, to: str, result: Any) -> Verdict:
        if not isinstance(result, Mapping):
            return _no_answer()
        status, text = _read(result.get("Status")), _read(result.get("Error"))
        if not status:
            return ACCEPTED if result.get("MessageId") and not text else _no_answer()
        code = codes.normal(status)
        if code == "success":
            return ACCEPTED
        alone = Reader(SINGLE, self._region, self._sender, (to,))
        unknown = Rule(Kind.AMBIGUOUS, f"SES answered with an unknown status: {status}")
        rule = alone._of_entry(code, text) or unknown
        return alone._told(rule, text)

    def _of_entry(self, code: str, text: str) -> Rule | None:
        if code in codes.BAD_CALLS:
            return self._by_text(text) or Rule(Kind.REJECTED, "SES refuses the mail: {text}")
        return self._rule(code, text)

    def _call(self, code: str, text: str, status: int) -> Verdict:
        by_status = self._by_status(code, status)
        rule = self._rule(codes.normal(code), text) or by_status
        if by_status.kind is Kind.AMBIGUOUS and not codes.known(code):
            rule = by_status  # Words of a gateway, that may have handed the call on, prove nothing.
        is_bulk = self._operation == BULK
        if is_bulk and codes.normal(code) in codes.UNKNOWN_OPERATION:
            rule = codes.NO_BULK
        if is_bulk and (rule.kind is Kind.REJECTED or rule is codes.TOO_LONG):
            # One of the entries is meant, and the answer does not say which.
            rule = Rule(Kind.ONE_BY_ONE, rule.reason)
        return self._told(rule, text)

    def _rule(self, code: str, text: str) -> Rule | None:
        """Return what the tables say about one code and its text."""
        if (rule := codes.DEFINITE.get(code)) is not None:
            return rule
        by_text = self._by_text(text)
        if code in codes.BAD_CALLS:
            one_by_one = Rule(Kind.ONE_BY_ONE, codes.BAD_CALL.reason)
            return by_text or (one_by_one if self._operation == BULK else codes.BAD_CALL)
        return by_text or codes.BY_TEXT.get(code)

    def _by_text(self, text: str) -> Rule | None:
        if _NOT_VERIFIED.search(text):
            return self._not_verified(text)
        if "not authorized" in text.lower():
            return self._denied(text)
        rule = codes.by_text(text)
        is_request = rule is codes.REQUESTS and self._operation != BULK
        return codes.THROTTLED if is_request else rule

    def _not_verified(self, text: str) -> Rule:
        named = text.lower()
        domain = self._sender.rpartition("@")[2]
        if _names(self._sender, named) or _names(domain, named):
            return codes.SENDER
        if any(
            _names(to, named) or _names(to.rpartition("@")[2], named) for to in self._recipients
        ):
            return codes.SANDBOX
        return codes.SENDER  # It names neither: only a person can tell.

    def _denied(self, text: str) -> Rule:
        found, action = _RESOURCE.search(text), _ACTION.search(text)
        if found is None:
            return codes.DENIED
        # Other senders of the account may have what this one lacks.
        ours = {self._sender.lower(), self._sender.rpartition("@")[2].lower()}
        foreign = found["kind"] == "identity" and found["name"].lower() not in ours
        name = (
            "the recipient's identity (sandbox)" if foreign else found["kind"] + "/" + found["name"]
        )
        what = action[0] if action else "send"
        reason = f"the AWS credentials may not {what} on {name} in {{region}}"
        return Rule(Kind.STOP_CAMPAIGN, reason)

    def _by_status(self, code: str, status: int) -> Rule:
        if status == 429:
            return codes.THROTTLED
        if status in {401, 403}:
            return codes.DENIED
        if status == 408:
            return codes.LATE
        if status == 409:
            return codes.PASSING
        if status == 413:
            return codes.TOO_LONG
        if status >= 500 or status < 300:
            return codes.SERVER_FAULT
        return Rule(Kind.STOP_CAMPAIGN, f"SES refuses the call ({code}): {{text}}")

    def _told(self, rule: Rule, text: str) -> Verdict:
        region = _REGION.search(text)
        shown = without_recipients(text, self._sender, self._recipients) or "no reason given"
        reason = rule.reason.replace("{sender}", self._sender).replace("{text}", shown)
        return Verdict(
            rule.kind,
            reason.replace("{region}", region[1].lower() if region else self._region),
            codes.FAULTS.get(rule, Fault.UNKNOWN),
        )


def _read(told: object) -> str:
    return str(told or "")[:_MAX_TEXT]


def _no_answer() -> Verdict:
    return Verdict(Kind.AMBIGUOUS, "SES answered the call, but not about this mail")


def _names(identity: str, text: str) -> bool:
    """Whether a text lists an identity; `shop.example` is not listed by `a@shop.example`."""
    if not identity:
        return False
    return (
        re.search(rf"(?<![\w.@+-]){re.escape(identity.lower())}(?![\w@-]|\.\w)", text) is not None
    )
