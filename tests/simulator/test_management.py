"""Account, identities, suppression list, configuration sets, as boto3 sees them."""

from typing import Any
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from tests.simulator.running import RunningSimulator, people, said, statuses

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIATEST/20261103/eu-west-1/ses/aws4"}


def not_found(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    status, code, message = said(caught.value)
    assert (status, code) == (404, "NotFoundException")
    return message or ""


def test_get_account_tells_everything_a_sender_looks_at(simulator: RunningSimulator) -> None:
    account = simulator.ses.get_account()
    assert account["EnforcementStatus"] == "HEALTHY"
    assert account["ProductionAccessEnabled"] is True
    assert account["SendingEnabled"] is True
    assert account["SuppressionAttributes"] == {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]}
    assert account["Details"]["ReviewDetails"]["Status"] == "GRANTED"
    assert account["VdmAttributes"] == {"VdmEnabled": "DISABLED"}
    assert account["DedicatedIpAutoWarmupEnabled"] is False
    assert account["PricingAttributes"] == {"CurrentPlan": "NONE"}


def test_every_identity_is_verified_unless_they_are_checked(simulator: RunningSimulator) -> None:
    identity = simulator.ses.get_email_identity(EmailIdentity="shop.example.com")
    assert (identity["IdentityType"], identity["VerifiedForSendingStatus"]) == ("DOMAIN", True)
    assert identity["DkimAttributes"]["Status"] == "SUCCESS"
    simulator.settings(verify_identities=True)
    text = not_found(simulator.ses.get_email_identity, EmailIdentity="shop.example.com")
    assert text == "Email identity shop.example.com does not exist."


def test_a_created_identity_waits_for_its_verification(simulator: RunningSimulator) -> None:
    simulator.settings(verify_identities=True)
    made = simulator.ses.create_email_identity(EmailIdentity="shop.example.com")
    assert made["VerifiedForSendingStatus"] is False
    with pytest.raises(ClientError):
        simulator.send()
    simulator.post("identities", {"name": "shop.example.com", "verified": True})
    simulator.send()
    simulator.ses.delete_email_identity(EmailIdentity="shop.example.com")
    with pytest.raises(ClientError):
        simulator.send()


def test_dkim_and_mail_from_of_an_identity_can_be_scripted(simulator: RunningSimulator) -> None:
    script = {"dkim_status": "FAILED", "mail_from_domain": "bounce.shop.example.com"}
    simulator.post("identities", {"name": "shop.example.com", **script})
    identity = simulator.ses.get_email_identity(EmailIdentity="shop.example.com")
    assert identity["DkimAttributes"]["Status"] == "FAILED"
    assert identity["MailFromAttributes"]["MailFromDomain"] == "bounce.shop.example.com"
    assert "no 'dkim'" in simulator.refused("identities", {"name": "x.example", "dkim": "OK"})


def test_an_address_of_a_verified_domain_may_send_without_being_an_identity(
    simulator: RunningSimulator,
) -> None:
    simulator.settings(verify_identities=True, verified=["example.com"])
    simulator.send(FromEmailAddress="any.name@shop.example.com")
    not_found(simulator.ses.get_email_identity, EmailIdentity="any.name@shop.example.com")


def test_an_identity_that_exists_cannot_be_created_again(simulator: RunningSimulator) -> None:
    simulator.ses.create_email_identity(EmailIdentity="shop.example.com")
    with pytest.raises(ClientError) as caught:
        simulator.ses.create_email_identity(EmailIdentity="shop.example.com")
    assert said(caught.value)[1] == "AlreadyExistsException"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "list-identities"), ("GET", "identities")],
)
def test_identities_are_listed_at_the_new_uri_and_the_old(
    simulator: RunningSimulator, method: str, path: str
) -> None:
    simulator.ses.create_email_identity(EmailIdentity="shop.example.com")
    (listed,) = simulator.ses.list_email_identities()["EmailIdentities"]
    assert (listed["IdentityName"], listed["SendingEnabled"]) == ("shop.example.com", True)
    assert b"shop.example.com" in signed(simulator, method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "list-configuration-sets"), ("GET", "configuration-sets")],
)
def test_configuration_sets_are_listed_at_the_new_uri_and_the_old(
    simulator: RunningSimulator, method: str, path: str
) -> None:
    simulator.ses.create_configuration_set(ConfigurationSetName="campaigns")
    assert simulator.ses.list_configuration_sets()["ConfigurationSets"] == ["campaigns"]
    assert b'["campaigns"]' in signed(simulator, method, path)


def signed(simulator: RunningSimulator, method: str, path: str) -> bytes:
    request = Request(f"{simulator.url}/v2/email/{path}", method=method, headers=SIGNED)
    with urlopen(request, timeout=5) as answer:
        return answer.read()


def test_an_operation_that_is_not_there_is_named(simulator: RunningSimulator) -> None:
    with pytest.raises(ClientError) as caught:
        simulator.ses.list_import_jobs()
    status, code, message = said(caught.value)
    assert (status, code) == (404, "UnknownOperationException")
    assert "POST /v2/email/import-jobs/list" in (message or "")


def test_a_suppressed_address_is_accepted_but_not_delivered(simulator: RunningSimulator) -> None:
    simulator.ses.put_suppressed_destination(EmailAddress="Gone@Example.org", Reason="BOUNCE")
    assert statuses(simulator.send_bulk(["GONE@example.org", "ana@example.org"])) == ["SUCCESS"] * 2
    delivered, withheld = simulator.get("mails")["mails"]
    assert (delivered["suppressed"], withheld["suppressed"]) == ([], ["GONE@example.org"])
    stats = simulator.stats
    assert (stats["accepted"], stats["suppressed"], stats["sent_last_window"]) == (2, 1, 2)


def test_a_suppressed_address_is_read_and_taken_off_again(simulator: RunningSimulator) -> None:
    ses = simulator.ses
    ses.put_suppressed_destination(EmailAddress="gone+a@example.org", Reason="COMPLAINT")
    found = ses.get_suppressed_destination(EmailAddress="gone+a@example.org")
    assert found["SuppressedDestination"]["Reason"] == "COMPLAINT"
    ses.delete_suppressed_destination(EmailAddress="gone+a@example.org")
    text = not_found(ses.get_suppressed_destination, EmailAddress="gone+a@example.org")
    wording = "Email address gone+a@example.org does not exist on your suppression list."
    assert text == wording
    simulator.send("gone+a@example.org")
    assert simulator.last_mail()["suppressed"] == []


def test_the_suppression_list_comes_in_pages_and_by_reason(simulator: RunningSimulator) -> None:
    for number, address in enumerate(people(5)):
        reason = "BOUNCE" if number % 2 else "COMPLAINT"
        simulator.ses.put_suppressed_destination(EmailAddress=address, Reason=reason)
    found, token = [], ""
    while token is not None:
        more = {"NextToken": token} if token else {}
        page = simulator.ses.list_suppressed_destinations(PageSize=2, **more)
        found += [one["EmailAddress"] for one in page["SuppressedDestinationSummaries"]]
        token = page.get("NextToken")
    assert found == people(5)
    bounced = simulator.ses.list_suppressed_destinations(Reasons=["BOUNCE"])
    assert len(bounced["SuppressedDestinationSummaries"]) == 2


def test_a_reason_that_is_not_in_force_blocks_nothing(simulator: RunningSimulator) -> None:
    ses = simulator.ses
    ses.put_suppressed_destination(EmailAddress="gone@example.org", Reason="BOUNCE")
    ses.put_account_suppression_attributes(SuppressedReasons=["COMPLAINT"])
    simulator.send("gone@example.org")
    assert simulator.last_mail()["suppressed"] == []
    options = {"SuppressedReasons": ["BOUNCE"]}
    ses.create_configuration_set(ConfigurationSetName="strict", SuppressionOptions=options)
    simulator.send("gone@example.org", ConfigurationSetName="strict")
    assert simulator.last_mail()["suppressed"] == ["gone@example.org"]


def test_a_configuration_set_is_created_read_and_deleted(simulator: RunningSimulator) -> None:
    simulator.settings(check_configuration_sets=True)
    ses = simulator.ses
    ses.create_configuration_set(
        ConfigurationSetName="campaigns", DeliveryOptions={"TlsPolicy": "REQUIRE"}
    )
    found = ses.get_configuration_set(ConfigurationSetName="campaigns")
    assert found["DeliveryOptions"] == {"TlsPolicy": "REQUIRE"}
    assert found["SendingOptions"] == {"SendingEnabled": True}
    ses.delete_configuration_set(ConfigurationSetName="campaigns")
    text = not_found(ses.get_configuration_set, ConfigurationSetName="campaigns")
    assert text == "Configuration set campaigns does not exist."


def test_event_destinations_are_those_that_were_made(simulator: RunningSimulator) -> None:
    name = {"ConfigurationSetName": "campaigns"}
    simulator.ses.create_configuration_set(**name)
    assert destinations(simulator) == []
    simulator.ses.create_configuration_set_event_destination(
        **name,
        EventDestinationName="events",
        EventDestination={"Enabled": True, "MatchingEventTypes": ["BOUNCE", "COMPLAINT"]},
    )
    (made,) = destinations(simulator)
    assert (made["Name"], made["Enabled"]) == ("events", True)
    assert made["MatchingEventTypes"] == ["BOUNCE", "COMPLAINT"]
    simulator.ses.delete_configuration_set_event_destination(**name, EventDestinationName="events")
    assert destinations(simulator) == []


def test_a_listed_configuration_set_publishes_bounces_and_complaints(
    simulator: RunningSimulator,
) -> None:
    simulator.settings(configuration_sets=["campaigns"])
    (destination,) = destinations(simulator)
    assert {"BOUNCE", "COMPLAINT"} <= set(destination["MatchingEventTypes"])


def destinations(simulator: RunningSimulator) -> list[dict[str, Any]]:
    answer = simulator.ses.get_configuration_set_event_destinations(
        ConfigurationSetName="campaigns"
    )
    return answer["EventDestinations"]
