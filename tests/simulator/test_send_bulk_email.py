"""SendBulkEmail: one answer an entry, defaults and what an entry replaces."""

import json
from typing import Any

from tests.simulator.running import RunningSimulator, people, statuses


def entry(address: str, data: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    replacement = {"ReplacementTemplate": {"ReplacementTemplateData": json.dumps(data or {})}}
    destination = {"ToAddresses": [address]}
    return {"Destination": destination, "ReplacementEmailContent": replacement, **more}


def test_fifty_entries_get_fifty_answers_in_their_order(simulator: RunningSimulator) -> None:
    results = simulator.send_bulk(people(50))
    assert statuses(results) == ["SUCCESS"] * 50
    mails = {mail["message_id"]: mail["to"] for mail in simulator.get("mails?limit=50")["mails"]}
    assert [mails[one["MessageId"]] for one in results] == [[one] for one in people(50)]


def test_values_of_an_entry_are_merged_over_the_defaults_key_by_key(
    simulator: RunningSimulator,
) -> None:
    content = {"Subject": "{{greeting}} {{name}}", "Text": "x"}
    template = {"TemplateContent": content, "TemplateData": '{"greeting": "Hi", "name": "you"}'}
    simulator.send_entries(
        [entry("ana@example.org", {"name": "Ana"}), entry("bo@example.org")], template
    )
    subjects = [mail["subject"] for mail in simulator.get("mails")["mails"]]
    assert subjects == ["Hi you", "Hi Ana"]


def test_a_header_of_an_entry_replaces_the_default_of_that_name_or_is_added(
    simulator: RunningSimulator,
) -> None:
    template = {
        "TemplateContent": {"Subject": "s", "Text": "t"},
        "TemplateData": "{}",
        "Headers": [{"Name": "X-A", "Value": "default"}, {"Name": "X-B", "Value": "default"}],
    }
    own = [{"Name": "x-a", "Value": "own"}, {"Name": "X-C", "Value": "own"}]
    simulator.send_entries([entry("ana@example.org", ReplacementHeaders=own)], template)
    shown = [(one["name"], one["value"]) for one in simulator.last_mail()["headers"]]
    assert shown == [("X-B", "default"), ("x-a", "own"), ("X-C", "own")]


def test_tags_of_an_entry_go_over_the_default_tags(simulator: RunningSimulator) -> None:
    default = [{"Name": "campaign", "Value": "c1"}, {"Name": "batch", "Value": "b1"}]
    own = [{"Name": "campaign", "Value": "c2"}, {"Name": "index", "Value": "3"}]
    simulator.send_entries(
        [entry("ana@example.org", ReplacementTags=own)], DefaultEmailTags=default
    )
    mail = simulator.last_mail()
    assert mail["tags"] == {"campaign": "c2", "batch": "b1", "index": "3"}
    assert mail["campaign"] == "c2"


def test_a_bad_entry_does_not_harm_its_siblings(simulator: RunningSimulator) -> None:
    results = simulator.send_bulk(["ana@example.org", "no-domain", "bo@example.org"])
    assert statuses(results) == ["SUCCESS", "INVALID_PARAMETER", "SUCCESS"]
    assert results[1]["Error"] == "Missing final '@domain'"
    assert simulator.stats["refused"] == {"INVALID_PARAMETER": 1}


def test_an_entry_for_several_recipients_costs_as_many(simulator: RunningSimulator) -> None:
    simulator.send_entries([{"Destination": {"ToAddresses": people(4)}}])
    assert simulator.stats["accepted"] == 4
