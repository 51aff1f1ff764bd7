"""What SES refuses by form or by standing, in its own words."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.simulator.running import SENDER, RunningSimulator, people, said, statuses

TEXT = {"Text": {"Data": "Hello"}}


def refusal(send: Callable[[], object]) -> tuple[int, str, str | None]:
    with pytest.raises(ClientError) as caught:
        send()
    return said(caught.value)


def simple(**more: Any) -> dict[str, Any]:
    return {"Simple": {"Subject": {"Data": "s"}, "Body": TEXT, **more}}


@pytest.mark.parametrize(
    ("address", "wording"),
    [
        ("nobody", "Missing final '@domain'"),
        ("Shop, Inc <a@example.org>", "Missing final '@domain'"),
        ("@example.org", "Missing local name"),
        ("ana@", "Missing domain"),
        ("a na@example.org", "Local address contains control or whitespace"),
        ("a(na@example.org", "Local address contains illegal character"),
        ("a..b@example.org", "Local address contains dot-dot"),
        (".a@example.org", "Local address starts with dot"),
        ("ana@exam ple.org", "Domain contains control or whitespace"),
        ("ana@exam_ple.org", "Domain contains illegal character"),
        ("zoë@example.org", "There are non-ASCII characters in the address"),
        ("ana@zoë.example", "There are non-ASCII characters in the address"),
    ],
)
def test_a_bad_address_is_refused_in_the_words_of_ses(
    simulator: RunningSimulator, address: str, wording: str
) -> None:
    assert refusal(lambda: simulator.send(address)) == (400, "BadRequestException", wording)
    (result,) = simulator.send_bulk([address])
    assert result == {"Status": "INVALID_PARAMETER", "Error": wording}
    assert simulator.stats["accepted"] == 0


@pytest.mark.parametrize(
    "address",
    ["ana@example.org", "Ana <ana@example.org>", '"Doe, Ana" <a@example.org>', '"a b"@example.org'],
)
def test_a_good_address_is_taken(simulator: RunningSimulator, address: str) -> None:
    simulator.send(address)
    assert simulator.stats["accepted"] == 1


def test_one_bad_recipient_refuses_the_whole_message(simulator: RunningSimulator) -> None:
    assert refusal(lambda: simulator.send("ana@example.org", "nobody"))[0] == 400
    assert simulator.stats["accepted"] == 0


def test_more_than_fifty_recipients_are_refused(simulator: RunningSimulator) -> None:
    answer = refusal(lambda: simulator.send(*people(51)))
    assert answer == (400, "BadRequestException", "Recipient count exceeds 50.")
    simulator.send(*people(50))


def test_more_than_fifty_entries_are_refused_as_a_whole(simulator: RunningSimulator) -> None:
    status, code, _ = refusal(lambda: simulator.send_bulk(people(51)))
    assert (status, code, simulator.stats["accepted"]) == (400, "BadRequestException", 0)


@pytest.mark.parametrize(
    "header",
    [
        ("Subject", "again"),
        ("return-path", "<a@example.org>"),
        ("With Space", "x"),
        ("With:Colon", "x"),
        ("X-Empty", ""),
        ("X-Umlaut", "Grüße"),
        ("X-Break", "one\r\nBcc: two@example.org"),
        ("X" * 127, "x"),
        ("X-Long", "x" * 996),
        ("X-Both-Too-Long", "x" * 990),
    ],
)
def test_a_header_that_ses_forbids_is_refused(
    simulator: RunningSimulator, header: tuple[str, str]
) -> None:
    pair = {"Name": header[0], "Value": header[1]}
    assert refusal(lambda: simulator.send(Content=simple(Headers=[pair])))[0] == 400
    entry = {"Destination": {"ToAddresses": ["a@example.org"]}, "ReplacementHeaders": [pair]}
    assert statuses(simulator.send_entries([entry])) == ["INVALID_PARAMETER"]


def test_fifteen_headers_are_taken_and_sixteen_are_not(simulator: RunningSimulator) -> None:
    headers = [{"Name": f"X-{number}", "Value": "x"} for number in range(16)]
    assert refusal(lambda: simulator.send(Content=simple(Headers=headers)))[0] == 400
    simulator.send(Content=simple(Headers=headers[:15]))


@pytest.mark.parametrize("tag", [("campaign", "c:42"), ("a b", "c"), ("to", "a@example.org")])
def test_a_tag_outside_of_its_characters_is_refused(
    simulator: RunningSimulator, tag: tuple[str, str]
) -> None:
    tags = [{"Name": tag[0], "Value": tag[1]}]
    assert refusal(lambda: simulator.send(EmailTags=tags))[:2] == (400, "BadRequestException")
    assert refusal(lambda: simulator.send_bulk(people(1), DefaultEmailTags=tags))[0] == 400


def test_template_values_longer_than_ses_takes_are_refused(simulator: RunningSimulator) -> None:
    longest = '{"name": "' + "x" * (262_144 - 12) + '"}'
    template = {"TemplateContent": {"Subject": "s", "Text": "t"}, "TemplateData": longest}
    assert statuses(simulator.send_bulk(people(1), template)) == ["SUCCESS"]
    template["TemplateData"] = longest + " "
    assert refusal(lambda: simulator.send_bulk(people(1), template))[0] == 400


def test_a_message_above_forty_megabytes_is_refused(simulator: RunningSimulator) -> None:
    body = {"Text": {"Data": "x" * (40 * 1024 * 1024 + 1)}}
    content = {"Simple": {"Subject": {"Data": ""}, "Body": body}}
    answer = refusal(lambda: simulator.send(Content=content))
    wording = "Message length is more than 41943040 bytes long: '41943041'."
    assert answer == (400, "BadRequestException", wording)


def test_a_stored_template_is_not_there(simulator: RunningSimulator) -> None:
    answer = refusal(lambda: simulator.send_bulk(people(1), {"TemplateName": "autumn"}))
    assert answer == (404, "NotFoundException", "Template autumn does not exist.")


def test_a_call_without_a_signature_is_refused(simulator: RunningSimulator) -> None:
    answer = refusal(lambda: unsigned(simulator).get_account())
    assert answer[:2] == (403, "MissingAuthenticationToken")


def unsigned(simulator: RunningSimulator) -> Any:
    client = simulator.client()
    client.meta.events.register("before-send.*", lambda request, **_: drop_signature(request))
    return client


def drop_signature(request: Any) -> None:
    del request.headers["Authorization"]


def test_only_listed_access_keys_are_let_in(simulator: RunningSimulator) -> None:
    simulator.settings(access_keys=["AKIAGOOD"], management_rate=0)
    answer = refusal(simulator.client(access_key="AKIAOLD").get_account)
    text = "The security token included in the request is invalid."
    assert answer == (403, "UnrecognizedClientException", text)
    simulator.client(access_key="AKIAGOOD").get_account()


def test_with_identities_checked_only_verified_senders_pass(simulator: RunningSimulator) -> None:
    simulator.settings(verify_identities=True, verified=["shop.example.com"])
    simulator.send()
    stranger = {"FromEmailAddress": "x@other.example"}
    wording = (
        "Email address is not verified. The following identities failed the check in region "
        "EU-WEST-1: x@other.example"
    )
    assert refusal(lambda: simulator.send(**stranger)) == (400, "MessageRejected", wording)
    assert (
        simulator.send_bulk(people(2), **stranger)
        == [{"Status": "MESSAGE_REJECTED", "Error": wording}] * 2
    )


def test_the_sandbox_delivers_to_verified_identities_and_the_mailbox_simulator_only(
    simulator: RunningSimulator,
) -> None:
    simulator.settings(production_access=False, verified=["ana@example.org"])
    to = ["ana@example.org", "bo@example.org", "success+1@simulator.amazonses.com"]
    results = simulator.send_bulk(to)
    assert statuses(results) == ["SUCCESS", "MESSAGE_REJECTED", "SUCCESS"]
    assert results[1]["Error"].endswith("in region EU-WEST-1: bo@example.org")


def test_an_unknown_configuration_set_is_refused_once_they_are_checked(
    simulator: RunningSimulator,
) -> None:
    simulator.send(ConfigurationSetName="anything")
    simulator.settings(check_configuration_sets=True, configuration_sets=["campaigns"])
    simulator.send(ConfigurationSetName="campaigns")
    answer = refusal(lambda: simulator.send_bulk(people(1), ConfigurationSetName="anything"))
    assert answer == (404, "NotFoundException", "Configuration set anything does not exist.")


def test_a_failed_mail_from_domain_refuses_the_mail(simulator: RunningSimulator) -> None:
    domain = {"mail_from_domain": "bounce.shop.example.com", "mail_from_status": "FAILED"}
    simulator.post("identities", {"name": "shop.example.com", **domain})
    assert refusal(simulator.send)[1] == "MailFromDomainNotVerifiedException"
    assert statuses(simulator.send_bulk(people(1))) == ["MAIL_FROM_DOMAIN_NOT_VERIFIED"]


def test_a_suspended_account_sends_nothing(simulator: RunningSimulator) -> None:
    simulator.settings(enforcement_status="SHUTDOWN")
    status, code, text = refusal(simulator.send)
    assert (status, code) == (400, "AccountSuspendedException")
    assert (text or "").startswith("Sending suspended for this account.")
    assert simulator.ses.get_account()["EnforcementStatus"] == "SHUTDOWN"


def test_a_paused_account_says_so_without_a_message(simulator: RunningSimulator) -> None:
    simulator.ses.put_account_sending_attributes(SendingEnabled=False)
    assert refusal(lambda: simulator.send_bulk(people(1))) == (400, "SendingPausedException", None)
    assert simulator.ses.get_account()["SendingEnabled"] is False
    simulator.ses.put_account_sending_attributes(SendingEnabled=True)
    simulator.send()


def test_a_paused_configuration_set_stops_only_its_own_mail(simulator: RunningSimulator) -> None:
    simulator.ses.create_configuration_set(ConfigurationSetName="campaigns")
    simulator.ses.put_configuration_set_sending_options(
        ConfigurationSetName="campaigns", SendingEnabled=False
    )
    answer = refusal(lambda: simulator.send(ConfigurationSetName="campaigns"))
    assert answer == (400, "SendingPausedException", None)
    simulator.send(ConfigurationSetName="others")


def test_a_request_that_is_no_json_object_is_refused(simulator: RunningSimulator) -> None:
    client = simulator.client()
    client.meta.events.register("before-sign.*", lambda request, **_: spoil(request))
    sending = {"FromEmailAddress": SENDER, "Content": simple()}
    assert refusal(lambda: client.send_email(**sending))[:2] == (400, "SerializationException")


def spoil(request: Any) -> None:
    request.data = b"[1, 2"
