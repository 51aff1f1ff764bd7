"""Every code and text of SES, and what follows from it. One row a case."""

import time

import pytest
from botocore import exceptions as aws
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.parsers import ResponseParserError
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from worker.ses import codes
from worker.ses.departure import HeldBackError
from worker.ses.reading import BULK, SINGLE, Reader
from worker.ses.verdict import Fault, Kind, Verdict
from worker.ses.wording import without_recipients

FROM = "news@shop.example.com"
ANA = "lopez@example.org"
BOB = "bob@example.net"
SEND_URL = "https://email.eu-west-1.amazonaws.com/v2/email/outbound-emails"

K = Kind
RATE = "Maximum sending rate exceeded."
DAILY = "Daily message quota exceeded."
UNVERIFIED = (
    "Email address is not verified. The following identities failed the check in region EU-WEST-1: "
)
DENIED = "User `arn:aws:iam::111122223333:user/x' is not authorized to perform `ses:SendEmail'"
SUSPENDED = "Sending suspended for this account. For more information, please check the inbox"


def reader(operation: str = SINGLE, *recipients: str) -> Reader:
    return Reader(operation, "eu-west-1", FROM, recipients or (ANA,))


def refusal(
    code: str | None, message: str | None, status: int = 400, operation: str = SINGLE
) -> ClientError:
    told = {"Code": code, "Message": message}
    return ClientError(
        {
            "Error": {key: value for key, value in told.items() if value is not None},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        operation,
    )


def call(operation: str, code: str | None, message: str | None, status: int = 400) -> Verdict:
    return reader(operation).failure(refusal(code, message, status, operation), left=True)


CALLS = [
    # code, text, HTTP status, kind in SendEmail, kind in SendBulkEmail
    ("TooManyRequestsException", RATE, 429, K.THROTTLED, K.THROTTLED),
    ("TooManyRequestsException", "maximum SENDING RATE exceeded", 429, K.THROTTLED, K.THROTTLED),
    ("TooManyRequestsException", DAILY, 429, K.QUOTA, K.QUOTA),
    ("TooManyRequestsException", "Rate exceeded", 429, K.THROTTLED, K.BULK_THROTTLED),
    ("TooManyRequestsException", "Too many requests", 429, K.THROTTLED, K.BULK_THROTTLED),
    ("TooManyRequestsException", None, 429, K.THROTTLED, K.THROTTLED),
    ("TooManyRequestsException", "", 429, K.THROTTLED, K.THROTTLED),
    ("Throttling", RATE, 400, K.THROTTLED, K.THROTTLED),
    ("Throttling", DAILY, 400, K.QUOTA, K.QUOTA),
    ("Throttling", "Rate exceeded", 400, K.THROTTLED, K.BULK_THROTTLED),
    ("ThrottlingException", RATE, 400, K.THROTTLED, K.THROTTLED),
    ("ThrottlingException", None, 400, K.THROTTLED, K.THROTTLED),
    ("Throttling", "Maximum SigV2 SMTP sending rate exceeded", 400, K.THROTTLED, K.THROTTLED),
    ("429", None, 429, K.THROTTLED, K.THROTTLED),
    (None, None, 429, K.THROTTLED, K.THROTTLED),
    ("LimitExceededException", DAILY, 400, K.QUOTA, K.QUOTA),
    ("LimitExceededException", RATE, 400, K.THROTTLED, K.THROTTLED),
    ("LimitExceededException", "Too many things", 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("LimitExceededException", None, 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("AccountSuspendedException", SUSPENDED, 400, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("AccountSuspendedException", None, 400, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("MessageRejected", SUSPENDED, 400, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("SendingPausedException", None, 400, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("SendingPausedException", "Sending is paused for this account", 400, K.STOP_ACCOUNT, None),
    (
        "SendingPausedException",
        "Sending is paused for configuration set x",
        400,
        K.STOP_CAMPAIGN,
        K.STOP_CAMPAIGN,
    ),
    ("AccountSendingPausedException", None, 400, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("AccountSendingPaused", None, 400, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("ConfigurationSetSendingPausedException", None, 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("MailFromDomainNotVerifiedException", None, 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("MailFromDomainNotVerified", "x", 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    (
        "NotFoundException",
        "Configuration set <x> does not exist.",
        404,
        K.STOP_CAMPAIGN,
        K.STOP_CAMPAIGN,
    ),
    ("NotFoundException", "Template <x> does not exist.", 404, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("NotFoundException", None, 404, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("ConfigurationSetDoesNotExist", "x", 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("TemplateDoesNotExist", "x", 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("MessageRejected", UNVERIFIED + FROM, 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("MessageRejected", UNVERIFIED + "shop.example.com", 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("MessageRejected", UNVERIFIED + f"{ANA}, {FROM}", 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("MessageRejected", UNVERIFIED + f"{FROM.upper()}, ...", 400, K.STOP_CAMPAIGN, None),
    ("MessageRejected", UNVERIFIED + ANA, 400, K.REJECTED, K.ONE_BY_ONE),
    ("MessageRejected", UNVERIFIED + "x" + FROM, 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("MessageRejected", "Email address is not verified.", 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("MessageRejected", f"Email address not verified {FROM}", 400, K.STOP_CAMPAIGN, None),
    ("MessageRejected", f"Email address not verified {ANA}", 400, K.REJECTED, K.ONE_BY_ONE),
    ("MessageRejected", "Virus found", 400, K.REJECTED, K.ONE_BY_ONE),
    ("MessageRejected", None, 400, K.REJECTED, K.ONE_BY_ONE),
    ("BadRequestException", "Missing final '@domain'", 400, K.REJECTED, K.ONE_BY_ONE),
    ("BadRequestException", "Missing local name", 400, K.REJECTED, K.ONE_BY_ONE),
    ("BadRequestException", "Missing domain", 400, K.REJECTED, K.ONE_BY_ONE),
    (
        "InvalidParameterValue",
        "Local address contains control or whitespace",
        400,
        K.REJECTED,
        K.ONE_BY_ONE,
    ),
    (
        "InvalidParameterValue",
        "Local address contains illegal character",
        400,
        K.REJECTED,
        K.ONE_BY_ONE,
    ),
    ("BadRequestException", "Domain contains illegal character", 400, K.REJECTED, K.ONE_BY_ONE),
    (
        "BadRequestException",
        "There are non-ASCII characters in it",
        400,
        K.REJECTED,
        K.ONE_BY_ONE,
    ),
    ("BadRequestException", "Transaction failed: Missing domain", 400, K.REJECTED, K.ONE_BY_ONE),
    ("InvalidParameterValue", "Recipient count exceeds 50.", 400, K.STOP_CAMPAIGN, K.ONE_BY_ONE),
    (
        "InvalidParameterValue",
        "Message length is more than 10485760 bytes long: '24081986'.",
        400,
        K.STOP_CAMPAIGN,
        K.ONE_BY_ONE,
    ),
    ("BadRequestException", "Message is too long.", 400, K.STOP_CAMPAIGN, K.ONE_BY_ONE),
    ("BadRequestException", "Header not allowed: 'Bcc'.", 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("BadRequestException", "1 validation error detected: x", 400, K.STOP_CAMPAIGN, K.ONE_BY_ONE),
    ("BadRequestException", None, 400, K.STOP_CAMPAIGN, K.ONE_BY_ONE),
    ("SerializationException", "Unexpected value", 400, K.STOP_CAMPAIGN, K.ONE_BY_ONE),
    ("ValidationException", "x", 400, K.STOP_CAMPAIGN, K.ONE_BY_ONE),
    ("AccessDeniedException", None, 403, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("AccessDeniedException", DENIED, 403, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("AccessDenied", DENIED, 403, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("UnrecognizedClientException", "The security token", 403, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("InvalidClientTokenId", "The security token", 403, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("SignatureDoesNotMatch", "The request signature we", 403, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("ExpiredTokenException", None, 403, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("ExpiredToken", None, 403, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("RequestExpired", None, 400, K.STOP_WORKER, K.STOP_WORKER),
    (
        "SignatureDoesNotMatch",
        "Signature expired: 1 is before 2",
        403,
        K.STOP_WORKER,
        K.STOP_WORKER,
    ),
    ("InvalidSignatureException", "Signature not yet current", 403, K.STOP_WORKER, K.STOP_WORKER),
    ("InvalidSignatureException", "The signature we calc", 403, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("IncompleteSignature", None, 400, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("MissingAuthenticationToken", None, 403, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("OptInRequired", None, 403, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("NeverHeardOfIt", "x", 403, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("403", None, 403, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("401", None, 401, K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    ("InternalFailure", None, 500, K.AMBIGUOUS, K.AMBIGUOUS),
    ("InternalServiceErrorException", "x", 500, K.AMBIGUOUS, K.AMBIGUOUS),
    ("InternalServerError", "x", 500, K.AMBIGUOUS, K.AMBIGUOUS),
    ("ConcurrentModificationException", "x", 500, K.AMBIGUOUS, K.AMBIGUOUS),
    ("ServiceUnavailable", None, 503, K.AMBIGUOUS, K.AMBIGUOUS),
    ("500", None, 500, K.AMBIGUOUS, K.AMBIGUOUS),
    ("502", "<html>Bad gateway</html>", 502, K.AMBIGUOUS, K.AMBIGUOUS),
    ("504", None, 504, K.AMBIGUOUS, K.AMBIGUOUS),
    # A gateway's words are not SES's: it may have handed the call on.
    ("502", "<h1>Too many requests</h1>", 502, K.AMBIGUOUS, K.AMBIGUOUS),
    ("503", "Rate exceeded", 503, K.AMBIGUOUS, K.AMBIGUOUS),
    ("504", "temporary service failure", 504, K.AMBIGUOUS, K.AMBIGUOUS),
    ("UpstreamError", "too many concurrent calls", 500, K.AMBIGUOUS, K.AMBIGUOUS),
    ("408", "sending rate", 408, K.AMBIGUOUS, K.AMBIGUOUS),
    ("ThrottlingException", "Rate exceeded", 503, K.THROTTLED, K.BULK_THROTTLED),
    ("408", None, 408, K.AMBIGUOUS, K.AMBIGUOUS),
    ("RequestTimeout", "Your socket connection was not", 400, K.AMBIGUOUS, K.AMBIGUOUS),
    ("RequestTimeoutException", None, 408, K.AMBIGUOUS, K.AMBIGUOUS),
    ("PriorRequestNotComplete", None, 400, K.TRANSIENT, K.TRANSIENT),
    ("TransactionInProgressException", None, 400, K.TRANSIENT, K.TRANSIENT),
    ("409", None, 409, K.TRANSIENT, K.TRANSIENT),
    ("NeverHeardOfIt", "x", 409, K.TRANSIENT, K.TRANSIENT),
    ("RequestLimitExceeded", "Request limit exceeded.", 503, K.THROTTLED, K.THROTTLED),
    ("BandwidthLimitExceeded", None, 509, K.THROTTLED, K.THROTTLED),
    ("ProvisionedThroughputExceededException", None, 400, K.THROTTLED, K.THROTTLED),
    ("EC2ThrottledException", None, 503, K.THROTTLED, K.THROTTLED),
    ("413", None, 413, K.STOP_CAMPAIGN, K.ONE_BY_ONE),
    ("404", "<html>", 404, K.STOP_CAMPAIGN, K.BULK_UNKNOWN),
    ("405", None, 405, K.STOP_CAMPAIGN, K.BULK_UNKNOWN),
    ("UnknownOperationException", None, 404, K.STOP_CAMPAIGN, K.BULK_UNKNOWN),
    ("AlreadyExistsException", None, 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("InvalidNextTokenException", None, 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("ConflictException", None, 409, K.TRANSIENT, K.TRANSIENT),
    ("NeverHeardOfIt", "strange", 400, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("418", None, 418, K.STOP_CAMPAIGN, K.STOP_CAMPAIGN),
    ("Failure", "454 Throttling failure: Maximum sending rate exceeded", 400, K.THROTTLED, None),
    ("Failure", "454 Throttling failure: Daily message quota exceeded", 400, K.QUOTA, None),
    ("Failure", "451 Temporary service failure", 400, K.TRANSIENT, None),
    ("Failure", "454 Temporary authentication failure", 400, K.TRANSIENT, None),
    ("Failure", "421 Too many concurrent SMTP connections", 400, K.TRANSIENT, None),
    ("Failure", "535 Authentication Credentials Invalid", 400, K.STOP_ACCOUNT, None),
    ("Failure", "535 Account not subscribed to SES", 400, K.STOP_ACCOUNT, None),
    ("Failure", "552 Message is too long.", 400, K.STOP_CAMPAIGN, None),
]


@pytest.mark.parametrize(("code", "text", "status", "single", "bulk"), CALLS)
def test_a_refused_call(
    code: str | None, text: str | None, status: int, single: Kind, bulk: Kind | None
) -> None:
    assert call(SINGLE, code, text, status).kind is single
    if bulk is not None:
        assert call(BULK, code, text, status).kind is bulk


STATUSES = [
    ("SUCCESS", "", K.ACCEPTED),
    ("Success", "", K.ACCEPTED),
    ("ACCOUNT_THROTTLED", RATE, K.THROTTLED),
    ("AccountThrottled", None, K.THROTTLED),
    ("ACCOUNT_THROTTLED", DAILY, K.QUOTA),
    ("TRANSIENT_FAILURE", "", K.TRANSIENT),
    ("TransientFailure", "", K.TRANSIENT),
    ("ACCOUNT_DAILY_QUOTA_EXCEEDED", "", K.QUOTA),
    ("AccountDailyQuotaExceeded", "", K.QUOTA),
    ("MESSAGE_REJECTED", UNVERIFIED + FROM, K.STOP_CAMPAIGN),
    ("MESSAGE_REJECTED", UNVERIFIED + ANA, K.REJECTED),
    ("MessageRejected", "Virus found", K.REJECTED),
    ("MESSAGE_REJECTED", None, K.REJECTED),
    ("INVALID_PARAMETER", "Missing final '@domain'", K.REJECTED),
    ("INVALID_PARAMETER", "something odd", K.REJECTED),
    ("INVALID_PARAMETER_VALUE", None, K.REJECTED),
    ("InvalidParameterValue", "", K.REJECTED),
    ("INVALID_PARAMETER", "Header not allowed: 'To'.", K.STOP_CAMPAIGN),
    ("INVALID_PARAMETER", "Message length is more than 9 bytes long: '10'.", K.STOP_CAMPAIGN),
    ("MAIL_FROM_DOMAIN_NOT_VERIFIED", "", K.STOP_CAMPAIGN),
    ("CONFIGURATION_SET_NOT_FOUND", "", K.STOP_CAMPAIGN),
    ("CONFIGURATION_SET_DOES_NOT_EXIST", "", K.STOP_CAMPAIGN),
    ("ConfigurationSetDoesNotExist", "", K.STOP_CAMPAIGN),
    ("TEMPLATE_NOT_FOUND", "", K.STOP_CAMPAIGN),
    ("TEMPLATE_DOES_NOT_EXIST", "", K.STOP_CAMPAIGN),
    ("ACCOUNT_SUSPENDED", "", K.STOP_ACCOUNT),
    ("ACCOUNT_SENDING_PAUSED", "", K.STOP_ACCOUNT),
    ("AccountSendingPaused", "", K.STOP_ACCOUNT),
    ("CONFIGURATION_SET_SENDING_PAUSED", "", K.STOP_CAMPAIGN),
    ("INVALID_SENDING_POOL_NAME", "", K.STOP_CAMPAIGN),
    ("InvalidSendingPoolName", "", K.STOP_CAMPAIGN),
    ("FAILED", RATE, K.THROTTLED),
    ("FAILED", "Rate exceeded", K.THROTTLED),
    ("FAILED", DAILY, K.QUOTA),
    ("FAILED", "Temporary service failure", K.TRANSIENT),
    ("FAILED", "whatever", K.REJECTED),
    ("Failed", None, K.REJECTED),
    ("BRAND_NEW_STATUS", None, K.AMBIGUOUS),
    ("BRAND_NEW_STATUS", RATE, K.THROTTLED),
]


@pytest.mark.parametrize(("status", "text", "kind"), STATUSES)
def test_a_bulk_entry(status: str, text: str | None, kind: Kind) -> None:
    answer = {"BulkEmailEntryResults": [{"Status": status, "Error": text}]}
    assert [one.kind for one in reader(BULK).results(answer)] == [kind]


FAULTS = [
    # fault, kind once the request may have left, kind before that
    (aws.EndpointConnectionError(endpoint_url=SEND_URL), K.UNREACHABLE, K.UNREACHABLE),
    (aws.ConnectTimeoutError(endpoint_url=SEND_URL), K.UNREACHABLE, K.UNREACHABLE),
    (aws.ProxyConnectionError(proxy_url="http://proxy"), K.AMBIGUOUS, K.UNREACHABLE),
    (aws.SSLError(endpoint_url=SEND_URL, error="handshake failure"), K.AMBIGUOUS, K.UNREACHABLE),
    (aws.SSLError(endpoint_url=SEND_URL, error="record layer"), K.AMBIGUOUS, K.UNREACHABLE),
    (aws.ReadTimeoutError(endpoint_url=SEND_URL), K.AMBIGUOUS, K.UNREACHABLE),
    (aws.ConnectionClosedError(endpoint_url=SEND_URL), K.AMBIGUOUS, K.UNREACHABLE),
    (aws.HTTPClientError(error="odd"), K.AMBIGUOUS, K.UNREACHABLE),
    (aws.IncompleteReadError(actual_bytes=1, expected_bytes=2), K.AMBIGUOUS, K.UNREACHABLE),
    (ResponseParserError("no JSON"), K.AMBIGUOUS, K.UNREACHABLE),
    (AttributeError("over a garbled answer"), K.AMBIGUOUS, K.UNREACHABLE),
    (ConnectionResetError(), K.AMBIGUOUS, K.UNREACHABLE),
    (aws.ParamValidationError(report="x"), K.AMBIGUOUS, K.STOP_WORKER),
    (aws.NoRegionError(), K.AMBIGUOUS, K.STOP_WORKER),
    (aws.NoCredentialsError(), K.STOP_WORKER, K.STOP_WORKER),
    (aws.PartialCredentialsError(provider="env", cred_var="x"), K.STOP_WORKER, K.STOP_WORKER),
    (aws.CredentialRetrievalError(provider="x", error_msg="y"), K.STOP_WORKER, K.STOP_WORKER),
    (aws.ProfileNotFound(profile="x"), K.STOP_WORKER, K.STOP_WORKER),
    (refusal("AccessDenied", "no", 403, "AssumeRole"), K.STOP_ACCOUNT, K.STOP_ACCOUNT),
    (refusal("Throttling", "Rate exceeded", 400, "AssumeRole"), K.UNREACHABLE, K.UNREACHABLE),
    (refusal("InternalFailure", None, 500, "AssumeRole"), K.UNREACHABLE, K.UNREACHABLE),
    (HeldBackError("too old"), K.UNSENT, K.UNSENT),
]


@pytest.mark.parametrize(("fault", "left", "not_left"), FAULTS)
@pytest.mark.parametrize("operation", [SINGLE, BULK])
def test_a_fault_of_the_network_or_the_sdk(
    fault: Exception, left: Kind, not_left: Kind, operation: str
) -> None:
    assert reader(operation).failure(fault, left=True).kind is left
    assert reader(operation).failure(fault, left=False).kind is not_left


def test_every_row_of_the_tables_is_tried() -> None:
    tried = {codes.normal(row[0]) for row in CALLS if row[0]}
    tried |= {codes.normal(row[0]) for row in STATUSES}
    spare = {  # Spellings of our neighbours in AWS; not known from SES.
        *("throttled", "requestthrottled", "slowdown", "notauthorized", "invalidaccesskeyid"),
        *("requesttimetooskewed", "subscriptionrequired"),
    }
    assert (codes.DEFINITE.keys() | codes.BY_TEXT.keys()) - tried == spare


def _passing_codes() -> list[str]:
    """Whatever botocore itself takes for passing, in its newer and its older list."""
    listed = [
        *TransientRetryableChecker._TRANSIENT_ERROR_CODES,
        *ThrottledRetryableChecker._THROTTLED_ERROR_CODES,
    ]
    definitions = Loader().load_data("_retry")["definitions"].values()
    answers = [one["applies_when"].get("response", {}) for one in definitions]
    return listed + [one["service_error_code"] for one in answers if "service_error_code" in one]


@pytest.mark.parametrize("code", sorted({*_passing_codes()} - {"LimitExceededException"}))
def test_what_botocore_takes_for_passing_halts_nothing(code: str) -> None:
    """But LimitExceeded, which SES says of its resources as well: there the text decides."""
    passing = {K.THROTTLED, K.TRANSIENT, K.AMBIGUOUS}
    assert call(SINGLE, code, None).kind in passing
    assert call(BULK, code, "").kind in passing


HOSTILE = [
    *("a", "@", "a.", "a-", "aaaaaa-", "1-", "a@", "%40", "'", "arn:", "a b ", "\n", "<", "é"),
    *("daily ", "configuration set ", "template ", "sending ", "paused ", "header "),
    *("not verified ", "on resource arn:", "in region ", "not authorized ", "ses:", FROM, ANA),
]


class TestHostileText:
    @pytest.mark.parametrize("piece", HOSTILE)
    def test_takes_the_patterns_no_more_than_linear_time(self, piece: str) -> None:
        def seconds(length: int) -> float:
            text = piece * (length // len(piece)) + "!"
            took = []
            for _ in range(3):
                began = time.thread_time()
                without_recipients(text, FROM, [ANA])
                codes.by_text(text)
                took.append(time.thread_time() - began)
            return min(took)

        assert seconds(16_000) < 10 * max(seconds(4_000), 0.002)

    @pytest.mark.parametrize("piece", HOSTILE)
    def test_of_a_megabyte_costs_as_much_as_of_a_line(self, piece: str) -> None:
        def seconds(length: int) -> float:
            text = piece * (length // len(piece)) + "!"
            took = []
            for _ in range(3):
                began = time.thread_time()
                call(BULK, "MessageRejected", text)
                reader(BULK).results({"BulkEmailEntryResults": [{"Status": text, "Error": text}]})
                took.append(time.thread_time() - began)
            return min(took)

        assert seconds(1_000_000) < 10 * max(seconds(4_000), 0.002)


class TestAnswers:
    def test_results_keep_the_order_of_the_entries(self) -> None:
        statuses = ["SUCCESS", "ACCOUNT_THROTTLED", "SUCCESS"]
        answer = {"BulkEmailEntryResults": [{"Status": one} for one in statuses]}
        verdicts = reader(BULK, ANA, BOB, ANA).results(answer)
        assert [one.kind for one in verdicts] == [K.ACCEPTED, K.THROTTLED, K.ACCEPTED]

    def test_entries_without_a_result_are_ambiguous(self) -> None:
        answer = {"BulkEmailEntryResults": [{"Status": "SUCCESS", "MessageId": "1"}]}
        verdicts = reader(BULK, ANA, BOB).results(answer)
        assert [one.kind for one in verdicts] == [K.ACCEPTED, K.AMBIGUOUS]

    def test_results_nobody_asked_for_are_left_out(self) -> None:
        answer = {"BulkEmailEntryResults": [{"Status": "SUCCESS"}] * 3}
        assert [one.kind for one in reader(BULK, ANA).results(answer)] == [K.ACCEPTED]

    def test_an_entry_with_an_id_and_no_status_was_accepted(self) -> None:
        answer = {"BulkEmailEntryResults": [{"MessageId": "1"}, {}]}
        verdicts = reader(BULK, ANA, BOB).results(answer)
        assert [one.kind for one in verdicts] == [K.ACCEPTED, K.AMBIGUOUS]

    @pytest.mark.parametrize(
        "answer",
        [
            {},
            {"BulkEmailEntryResults": None},
            {"BulkEmailEntryResults": "SUCCESS"},
            {"BulkEmailEntryResults": {"Status": "SUCCESS"}},
            {"BulkEmailEntryResults": [None, "SUCCESS"]},
            {"message": "<html>"},
        ],
    )
    def test_a_garbled_answer_is_ambiguous(self, answer: dict[str, object]) -> None:
        verdicts = reader(BULK, ANA, BOB).results(answer)
        assert [one.kind for one in verdicts] == [K.AMBIGUOUS, K.AMBIGUOUS]

    def test_a_single_answer_without_an_id_is_ambiguous(self) -> None:
        assert reader().result({"MessageId": "1"}).kind is K.ACCEPTED
        assert reader().result({}).kind is K.AMBIGUOUS
        assert reader().result({"MessageId": ""}).kind is K.AMBIGUOUS


class TestReasons:
    def test_an_unverified_from_address_is_named_with_its_region(self) -> None:
        text = UNVERIFIED.replace("EU-WEST-1", "US-EAST-2") + FROM
        assert call(SINGLE, "MessageRejected", text).reason == (
            f"SES refuses the From address {FROM}: not verified in us-east-2"
        )

    def test_what_the_credentials_lack_is_named(self) -> None:
        resource = "arn:aws:ses:eu-west-1:111122223333:configuration-set/campaigns"
        verdict = call(BULK, "AccessDeniedException", f"{DENIED} on resource `{resource}'", 403)
        assert verdict[:2] == (
            K.STOP_CAMPAIGN,
            "the AWS credentials may not ses:SendEmail on configuration-set/campaigns in eu-west-1",
        )

    def test_a_recipient_in_a_denial_is_not_named(self) -> None:
        resource = f"arn:aws:ses:eu-west-1:111122223333:identity/{ANA}"
        verdict = call(SINGLE, "AccessDenied", f"{DENIED} on resource `{resource}'", 403)
        assert (verdict.kind, ANA in verdict.reason) == (K.STOP_CAMPAIGN, False)

    @pytest.mark.parametrize(
        "text",
        [
            f"{ANA} is odd",
            f"odd <{ANA.upper()}>",
            "odd local part 'lopez'",
            "odd: lopez%40example.org.",
            f"odd: <lopez@{ANA}>, lopez-garcia@example.org",
            "odd domain EXAMPLE.ORG",
        ],
    )
    @pytest.mark.parametrize("operation", [SINGLE, BULK])
    def test_recipients_are_never_shown(self, text: str, operation: str) -> None:
        for code in ("MessageRejected", "BadRequestException", "NeverHeardOfIt"):
            reason = call(operation, code, text).reason.lower()
            assert "odd" in reason
            assert "lopez" not in reason
            assert "example.org" not in reason

    def test_an_address_with_a_space_is_not_shown_either(self) -> None:
        quoted = '"maria lopez"@example.org'
        answer = {"Status": "MESSAGE_REJECTED", "Error": f"odd: {quoted.upper()}"}
        (verdict,) = reader(BULK, quoted).results({"BulkEmailEntryResults": [answer]})
        assert verdict.reason == "SES rejects the mail: odd: an address"

    def test_no_row_shows_a_recipient(self) -> None:
        rows = [call(SINGLE, code, f"{text} {ANA}", status) for code, text, status, *_ in CALLS]
        assert not [row.reason for row in rows if "lopez" in row.reason]

    def test_one_cause_has_one_reason(self) -> None:
        texts = [
            f"Message 0102019a8c1f2b3{at}-5d0e7c11-2f64 to user{at}@host{at}.example failed at {at}"
            for at in range(50)
        ]
        entries = [{"Status": "MESSAGE_REJECTED", "Error": text} for text in texts]
        people = [f"user{at}@host{at}.example" for at in range(50)]
        verdicts = reader(BULK, *people).results({"BulkEmailEntryResults": entries})
        assert {one.reason for one in verdicts} == {
            "SES rejects the mail: Message N to an address failed at N"
        }

    def test_a_reason_is_short(self) -> None:
        assert len(call(SINGLE, "MessageRejected", "word " * 1000).reason) < 200


@pytest.mark.parametrize(
    ("code", "text", "fault"),
    [
        ("BadRequestException", "Message is too long.", Fault.CONTENT),
        ("BadRequestException", "Header not allowed: 'Bcc'.", Fault.CONTENT),
        ("BadRequestException", "Missing start boundary", Fault.CALL),
        ("MailFromDomainNotVerifiedException", None, Fault.UNKNOWN),
        ("ConfigurationSetDoesNotExist", "x", Fault.UNKNOWN),
    ],
)
def test_what_is_refused_is_told_where_ses_says_it(
    code: str, text: str | None, fault: Fault
) -> None:
    verdict = call(SINGLE, code, text, 400)
    assert (verdict.kind, verdict.fault) == (K.STOP_CAMPAIGN, fault)
