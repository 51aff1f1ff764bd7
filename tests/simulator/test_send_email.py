"""SendEmail: what is accepted and what a reader then sees."""

import re
from email.message import EmailMessage

from tests.simulator.running import SENDER, RunningSimulator


def test_a_simple_mail_is_accepted_and_can_be_read(simulator: RunningSimulator) -> None:
    message_id = simulator.send(
        "Ana <ana@example.org>",
        subject="Autumn",
        ReplyToAddresses=["help@shop.example.com"],
        EmailTags=[{"Name": "campaign", "Value": "c42"}],
    )
    mail = simulator.last_mail()
    assert mail["message_id"] == message_id
    assert (mail["from"], mail["to"]) == (SENDER, ["Ana <ana@example.org>"])
    assert (mail["subject"], mail["text"], mail["html"]) == ("Autumn", "Hello", None)
    assert (mail["reply_to"], mail["tags"]) == (["help@shop.example.com"], {"campaign": "c42"})


def test_message_ids_have_the_shape_of_ses_and_never_repeat(simulator: RunningSimulator) -> None:
    ids = [simulator.send() for _ in range(20)]
    shape = r"01[0-9a-f]{14}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-000000"
    assert all(re.fullmatch(shape, one) for one in ids)
    assert len(set(ids)) == len(ids)


def test_custom_headers_reach_the_reader(simulator: RunningSimulator) -> None:
    headers = [{"Name": "List-Unsubscribe", "Value": "<https://shop.example.com/u/1>"}]
    body = {"Text": {"Data": "Hello"}}
    simulator.send(Content={"Simple": {"Subject": {"Data": "s"}, "Body": body, "Headers": headers}})
    assert simulator.last_mail()["headers"] == [
        {"name": "List-Unsubscribe", "value": "<https://shop.example.com/u/1>"}
    ]


def test_an_inline_template_is_filled_and_not_escaped(simulator: RunningSimulator) -> None:
    content = {"Subject": "Hi {{ name }}", "Html": "<p>{{name}}</p>", "Text": "{{name}}"}
    data = '{"name": "<b>Ana</b>"}'
    simulator.send(Content={"Template": {"TemplateContent": content, "TemplateData": data}})
    mail = simulator.last_mail()
    assert (mail["subject"], mail["html"]) == ("Hi <b>Ana</b>", "<p><b>Ana</b></p>")


def test_a_mail_without_a_value_for_a_placeholder_is_accepted_and_fails_to_render(
    simulator: RunningSimulator,
) -> None:
    content = {"Subject": "Hi {{name}}", "Text": "x"}
    simulator.send(Content={"Template": {"TemplateContent": content, "TemplateData": "{}"}})
    failure = simulator.last_mail()["rendering_failure"]
    assert failure == "Attribute 'name' is not present in the rendering data."


def raw_message() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "news@shop.example.com"
    message["To"] = "Ana <ana@example.org>"
    message["Bcc"] = "bo@example.org"
    message["Subject"] = "Grüße"
    message["X-SES-MESSAGE-TAGS"] = "campaign=c7, batch=b1"
    message["X-SES-CONFIGURATION-SET"] = "campaigns"
    message.set_content("Hello")
    message.add_alternative("<p>Hello</p>", subtype="html")
    return message


def test_a_raw_message_goes_to_the_receivers_in_its_headers(simulator: RunningSimulator) -> None:
    content = {"Raw": {"Data": raw_message().as_bytes()}}
    simulator.ses.send_email(Content=content)
    mail = simulator.last_mail()
    assert (mail["to"], mail["bcc"]) == (["ana@example.org"], ["bo@example.org"])
    assert (mail["subject"], mail["html"].strip()) == ("Grüße", "<p>Hello</p>")
    assert (mail["campaign"], mail["configuration_set"]) == ("c7", "campaigns")
    shown = {header["name"] for header in mail["headers"]}
    assert "Subject" in shown
    assert shown.isdisjoint({"Bcc", "X-SES-MESSAGE-TAGS", "X-SES-CONFIGURATION-SET"})


def test_a_raw_message_goes_to_the_destination_of_the_call_before_its_headers(
    simulator: RunningSimulator,
) -> None:
    simulator.send("eve@example.org", Content={"Raw": {"Data": raw_message().as_bytes()}})
    mail = simulator.last_mail()
    assert (mail["to"], mail["bcc"]) == (["eve@example.org"], [])


def test_every_recipient_of_a_message_counts(simulator: RunningSimulator) -> None:
    to = {"ToAddresses": ["a@example.org", "b@example.org"], "BccAddresses": ["c@example.org"]}
    simulator.send(Destination=to)
    assert (simulator.stats["accepted"], simulator.stats["sent_last_window"]) == (3, 3)
