"""One set of laws for whoever carries mail: the fake that other tests use, and SES itself.

SES is the simulator here; below stands what the mails of the real carrier look like.
"""

import json
from typing import Protocol

import pytest

from postroom.model import Recipient
from postroom.settings import Sender
from tests.simulator.running import RunningSimulator
from tests.support.fake_carrier import FakeCarrier, Sent
from tests.support.mail import PEOPLE, carrier_to, kinds, mailing, send_bulk, simulated
from tests.support.raw_server import RawServer, answering
from worker.sending.delivery import Carrier
from worker.ses.verdict import ACCEPTED, Kind, Verdict


class Rig(Protocol):
    """A carrier, and how to make things happen behind it."""

    carrier: Carrier

    def sent(self) -> list[Sent]: ...
    def refuse_next(self, address: str) -> None: ...
    def throttle_next_call(self) -> None: ...
    def lose_next_answer(self) -> None: ...


class FakeRig:
    def __init__(self) -> None:
        self.carrier = FakeCarrier()

    def sent(self) -> list[Sent]:
        return list(self.carrier.sent)

    def refuse_next(self, address: str) -> None:
        self.carrier.refuse(address, Kind.REJECTED)

    def throttle_next_call(self) -> None:
        self.carrier.end_next_call(Kind.THROTTLED)

    def lose_next_answer(self) -> None:
        self.carrier.end_next_call(Kind.AMBIGUOUS, accepts=True)


class SesRig:
    def __init__(self, simulator: RunningSimulator) -> None:
        self.carrier = simulated(simulator.url)
        self._simulator = simulator

    def sent(self) -> list[Sent]:
        mails = self._simulator.get("mails?limit=1000")["mails"]
        return [
            Sent(
                mail["to"][0],
                mail["tags"]["campaign"],
                int(mail["tags"]["batch"]),
                int(mail["tags"]["index"]),
                bulk=mail["operation"] == "SendBulkEmail",
            )
            for mail in reversed(mails)
        ]

    def refuse_next(self, address: str) -> None:
        self._simulator.fault("entry", address=address, status="MESSAGE_REJECTED", times=1)

    def throttle_next_call(self) -> None:
        self._simulator.fault("throttle", times=1)

    def lose_next_answer(self) -> None:
        self._simulator.fault("cut_after", times=1)


@pytest.fixture(params=["fake", "ses"])
def rig(request: pytest.FixtureRequest) -> Rig:
    return FakeRig() if request.param == "fake" else SesRig(request.getfixturevalue("simulator"))


class TestEveryCarrier:
    def test_sends_each_mail_once_with_its_place_in_the_campaign(self, rig: Rig) -> None:
        assert send_bulk(rig.carrier) == [ACCEPTED] * 5
        assert rig.carrier.send_one(mailing(), 8, 3, PEOPLE[3]) == ACCEPTED
        assert rig.sent() == [
            *(Sent(one.email, "c42", 7, at, bulk=True) for at, one in enumerate(PEOPLE)),
            Sent(PEOPLE[3].email, "c42", 8, 3, bulk=False),
        ]

    def test_judges_each_entry_by_itself(self, rig: Rig) -> None:
        rig.refuse_next(PEOPLE[2].email)
        expected = [Kind.ACCEPTED, Kind.ACCEPTED, Kind.REJECTED, Kind.ACCEPTED, Kind.ACCEPTED]
        assert kinds(send_bulk(rig.carrier)) == expected
        assert PEOPLE[2].email not in [one.to for one in rig.sent()]
        assert rig.carrier.send_one(mailing(), 7, 2, PEOPLE[2]) == ACCEPTED

    def test_a_refused_call_is_the_verdict_of_all_its_entries(self, rig: Rig) -> None:
        rig.throttle_next_call()
        assert kinds(send_bulk(rig.carrier)) == [Kind.THROTTLED] * 5
        rig.throttle_next_call()
        assert rig.carrier.send_one(mailing(), 7, 0, PEOPLE[0]).kind is Kind.THROTTLED
        assert rig.sent() == []

    def test_a_lost_answer_is_ambiguous_and_not_tried_again(self, rig: Rig) -> None:
        rig.lose_next_answer()
        assert kinds(send_bulk(rig.carrier)) == [Kind.AMBIGUOUS] * 5
        rig.lose_next_answer()
        assert rig.carrier.send_one(mailing(), 7, 0, PEOPLE[0]).kind is Kind.AMBIGUOUS
        assert len(rig.sent()) == 6

    def test_what_the_gate_holds_back_does_not_leave(self, rig: Rig) -> None:
        entries = [mailing().bulk_entry(at, one) for at, one in enumerate(PEOPLE)]
        held = Verdict(Kind.UNSENT, "too old")
        assert rig.carrier.send_bulk(mailing(), 7, entries, lambda: "too old") == [held] * 5
        assert rig.carrier.send_one(mailing(), 7, 0, PEOPLE[0], lambda: "too old") == held
        assert rig.sent() == []

    def test_a_mail_that_cannot_be_made_is_rejected_and_not_sent(self, rig: Rig) -> None:
        verdict = rig.carrier.send_one(mailing(), 7, 0, Recipient("ana@example.org"))
        assert verdict[:2] == (Kind.REJECTED, "subject: the recipient lacks the field 'name'")
        assert rig.sent() == []


class TestMail:
    def test_is_the_same_from_a_plain_a_rendered_and_a_single_call(
        self, simulator: RunningSimulator
    ) -> None:
        odd = Recipient("ana@example.org", {"name": "Añä <b>\"&'{{ x }}\n\\ 😀"})
        html, url = "<p title='{{ name }}'>{{ email }}</p>", "https://shop.example.com/{{ name }}"
        parts = {"html": html, "unsubscribe_url": url, "headers": {"X-Shop": "1"}}
        plain = mailing(text="{{ name }} {{ unsubscribe_url }}", **parts)
        rendered = mailing(text="{{ name }}{{ ' ' }}{{ unsubscribe_url }}", **parts)
        assert (plain.is_plain, rendered.is_plain) == (True, False)
        carrier = simulated(simulator.url)
        for made in (plain, rendered):
            assert carrier.send_bulk(made, 1, [made.bulk_entry(0, odd)]) == [ACCEPTED]
            assert carrier.send_one(made, 1, 0, odd) == ACCEPTED
        mails = simulator.get("mails")["mails"]
        shown = [{key: mail[key] for key in ("subject", "html", "text")} for mail in mails]
        headers = [{one["name"]: one["value"] for one in mail["headers"]} for mail in mails]
        assert shown == [shown[0]] * 4
        assert headers == [headers[0]] * 4
        assert headers[0].keys() == {"X-Shop", "List-Unsubscribe", "List-Unsubscribe-Post"}
        assert shown[0]["html"].startswith("<p title='Añä &lt;b&gt;&#34;&amp;&#39;{{ x }}\n\\ 😀'>")

    def test_carries_what_the_sender_and_the_campaign_set(
        self, simulator: RunningSimulator
    ) -> None:
        sender = Sender(
            account="main",
            from_="Käse <news@shop.example.com>",
            reply_to=["help@shop.example.com"],
            configuration_set="campaigns",
        )
        made = mailing(sender, tags={"season": "autumn"})
        carrier = simulated(simulator.url)
        send_bulk(carrier, made, count=1)
        carrier.send_one(made, 7, 0, PEOPLE[0])
        for mail in simulator.get("mails")["mails"]:
            assert mail["from"] == "=?utf-8?b?S8Okc2U=?= <news@shop.example.com>"
            assert mail["reply_to"] == ["help@shop.example.com"]
            assert mail["configuration_set"] == "campaigns"
            assert mail["tags"] == {
                "season": "autumn",
                "campaign": "c42",
                "batch": "7",
                "index": "0",
            }

    @pytest.mark.usefixtures("simulator")  # For its credentials.
    def test_has_all_its_tags_on_itself(self) -> None:
        """SES has been seen to ignore the default tags of a bulk call."""
        with RawServer(answering("200 OK", b"{}")) as server:
            send_bulk(carrier_to(server.url), mailing(tags={"season": "autumn"}), count=1)
        body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
        tags = body["BulkEmailEntries"][0]["ReplacementTags"]
        assert {tag["Name"] for tag in tags} == {"season", "campaign", "batch", "index"}
