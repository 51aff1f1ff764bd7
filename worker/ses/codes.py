"""The table: every code and text by which SES refuses, and what we do next.

Codes are compared without case, underscores and `Exception`, so that one row stands for the
exception of API v2, the status of a bulk entry, and the names of API v1.
Reasons may name `{sender}` (our From address) and `{region}`.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from worker.ses.verdict import Fault, Kind


class Rule(NamedTuple):
    """What a code or a text means, for the mail or the whole call that it answers."""

    kind: Kind
    reason: str


QUOTA: Final = Rule(Kind.QUOTA, "the daily quota of the account in {region} is spent")
THROTTLED: Final = Rule(Kind.THROTTLED, "above the sending rate of the account in {region}")
REQUESTS: Final = Rule(Kind.BULK_THROTTLED, "SES takes no more SendBulkEmail requests for now")
NO_BULK: Final = Rule(Kind.BULK_UNKNOWN, "this SES does not know SendBulkEmail")
SERVER_FAULT: Final = Rule(Kind.AMBIGUOUS, "SES had an internal fault and may have sent it")
BAD_ADDRESS: Final = Rule(Kind.REJECTED, "SES refuses the syntax of the recipient's address")
SANDBOX: Final = Rule(
    Kind.REJECTED, "the account is in the SES sandbox and the recipient is not verified"
)
SENDER: Final = Rule(
    Kind.STOP_CAMPAIGN, "SES refuses the From address {sender}: not verified in {region}"
)
CREDENTIALS: Final = Rule(Kind.STOP_ACCOUNT, "SES refuses the AWS credentials in {region}")
SECRET: Final = Rule(Kind.STOP_ACCOUNT, "SES refuses the signature: wrong secret key")
CLOCK: Final = Rule(Kind.STOP_WORKER, "SES refuses the signature: this host's clock is off")
DENIED: Final = Rule(Kind.STOP_ACCOUNT, "the AWS credentials may not send through SES in {region}")
PAUSED: Final = Rule(Kind.STOP_ACCOUNT, "sending is paused for the SES account in {region}")
SUSPENDED: Final = Rule(
    Kind.STOP_ACCOUNT,
    "AWS has suspended sending for the account in {region}: see the inbox of its owner",
)
NO_SET: Final = Rule(
    Kind.STOP_CAMPAIGN, "the configuration set of the sender does not exist in {region}"
)
NO_TEMPLATE: Final = Rule(Kind.STOP_CAMPAIGN, "SES does not find the template in {region}")
SET_PAUSED: Final = Rule(
    Kind.STOP_CAMPAIGN, "sending is paused for the configuration set in {region}"
)
TOO_LONG: Final = Rule(Kind.STOP_CAMPAIGN, "the mail is larger than SES takes")
BAD_HEADER: Final = Rule(Kind.STOP_CAMPAIGN, "SES refuses a header of the mail")
BAD_CALL: Final = Rule(Kind.STOP_CAMPAIGN, "SES refuses the call: {text}")
FAULTS: Final[Mapping[Rule, Fault]] = {
    TOO_LONG: Fault.CONTENT,
    BAD_HEADER: Fault.CONTENT,
    BAD_CALL: Fault.CALL,
}
PASSING: Final = Rule(Kind.TRANSIENT, "SES had a temporary fault and sent nothing")
LATE: Final = Rule(Kind.AMBIGUOUS, "SES waited for the request in vain and may have sent it")

DEFINITE: Final[Mapping[str, Rule]] = {
    "accountdailyquotaexceeded": QUOTA,
    "accountsuspended": SUSPENDED,
    "accountsendingpaused": PAUSED,
    "configurationsetsendingpaused": SET_PAUSED,
    "configurationsetnotfound": NO_SET,
    "configurationsetdoesnotexist": NO_SET,
    "templatenotfound": NO_TEMPLATE,
    "templatedoesnotexist": NO_TEMPLATE,
    "mailfromdomainnotverified": Rule(
        Kind.STOP_CAMPAIGN, "the custom MAIL FROM domain of {sender} is not verified in {region}"
    ),
    "invalidsendingpoolname": Rule(
        Kind.STOP_CAMPAIGN, "the IP pool of the configuration set does not exist in {region}"
    ),
    "transientfailure": PASSING,
    "unrecognizedclient": CREDENTIALS,
    "invalidclienttokenid": CREDENTIALS,
    "invalidaccesskeyid": CREDENTIALS,
    "expiredtoken": Rule(Kind.STOP_ACCOUNT, "the AWS credentials have expired"),
    "missingauthenticationtoken": CREDENTIALS,
    "incompletesignature": CREDENTIALS,
    "requestexpired": CLOCK,
    "requesttimetooskewed": CLOCK,
    "optinrequired": Rule(Kind.STOP_ACCOUNT, "the AWS account is not subscribed to SES"),
    "subscriptionrequired": Rule(Kind.STOP_ACCOUNT, "the AWS account is not subscribed to SES"),
    "internalfailure": SERVER_FAULT,
    "internalserviceerror": SERVER_FAULT,
    "internalservererror": SERVER_FAULT,
    "serviceunavailable": SERVER_FAULT,
    "concurrentmodification": SERVER_FAULT,
    "requesttimeout": LATE,
    "priorrequestnotcomplete": PASSING,
    "transactioninprogress": PASSING,
    "conflict": PASSING,
}
"""Codes that say all by themselves."""

BY_TEXT: Final[Mapping[str, Rule]] = {
    "toomanyrequests": THROTTLED,
    "throttling": THROTTLED,
    "throttled": THROTTLED,
    "requestthrottled": THROTTLED,
    "accountthrottled": THROTTLED,
    "slowdown": THROTTLED,
    "requestlimitexceeded": THROTTLED,
    "bandwidthlimitexceeded": THROTTLED,
    "provisionedthroughputexceeded": THROTTLED,
    "ec2throttled": THROTTLED,
    "limitexceeded": Rule(Kind.STOP_CAMPAIGN, "SES says a limit is exceeded: {text}"),
    "sendingpaused": PAUSED,
    "signaturedoesnotmatch": SECRET,
    "invalidsignature": SECRET,
    "notfound": Rule(Kind.STOP_CAMPAIGN, "SES does not find something the mail names: {text}"),
    "accessdenied": DENIED,
    "notauthorized": DENIED,
    "messagerejected": Rule(Kind.REJECTED, "SES rejects the mail: {text}"),
    "failed": Rule(Kind.REJECTED, "SES failed the mail: {text}"),
}
"""Codes that mean several things: the text decides, and the rule holds when it says nothing."""

BAD_CALLS: Final = frozenset(
    {
        "badrequest",
        "invalidparameter",
        "invalidparametervalue",
        "invalidparametercombination",
        "missingparameter",
        "validation",
        "validationerror",
        "serialization",
    }
)
"""Codes for something wrong with what was sent: a call is mended, an entry is rejected."""

UNKNOWN_OPERATION: Final = frozenset(
    {"unknownoperation", "invalidaction", "notimplemented", "404", "405", "501"}
)
"""How servers answer who do not have SendBulkEmail."""

TEXTS: Final[tuple[tuple[re.Pattern[str], Rule], ...]] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (r"daily message quota|daily .{0,99}quota exceeded", QUOTA),
        (r"sending rate", THROTTLED),
        (r"rate exceeded|too many requests", REQUESTS),
        (r"sending suspended", SUSPENDED),
        (r"configuration set .{0,99}does not exist", NO_SET),
        (
            r"configuration set .{0,99}(paused|disabled)|paused .{0,99}configuration set",
            SET_PAUSED,
        ),
        (r"template .{0,99}does not exist", NO_TEMPLATE),
        (r"sending .{0,99}(paused|disabled)", PAUSED),
        (r"security token|credentials invalid|authentication required", CREDENTIALS),
        (r"signature (expired|not yet)", CLOCK),
        (r"signature we calculated", SECRET),
        (r"not subscribed", DEFINITE["optinrequired"]),
        (r"message length is more than|message is too long", TOO_LONG),
        (r"header.{0,99} (not allowed|disallowed)|disallowed header", BAD_HEADER),
        (r"temporary (service|authentication) failure", PASSING),
        (r"timeout waiting for data|too many concurrent", PASSING),
        (r"missing (final|local|domain)", BAD_ADDRESS),
        (r"local address |domain (contains|starts|ends|name|has)", BAD_ADDRESS),
        (r"non-ascii char|illegal address|address unknown", BAD_ADDRESS),
        (
            r"(invalid|illegal|malformed) (email )?address|email address is (invalid|not)",
            BAD_ADDRESS,
        ),
    )
)
"""Texts in order: the first that is found decides. Compared in lower case.

A gap has a bound, for `.*` would be tried anew from every start; names of SES have 64 characters.
"""


def normal(code: str) -> str:
    """Return a code as the tables spell it: `ACCOUNT_THROTTLED`, `AccountThrottled` alike."""
    bare = re.sub(r"[^a-z0-9]", "", code.lower())
    return bare.removesuffix("exception") or bare


def known(code: str) -> bool:
    """Whether a code is one of SES's."""
    return any(normal(code) in table for table in (DEFINITE, BY_TEXT, BAD_CALLS))


def by_text(text: str) -> Rule | None:
    lowered = text.lower()
    return next((rule for pattern, rule in TEXTS if pattern.search(lowered)), None)
