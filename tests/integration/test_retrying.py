"""`retry`: once for each recipient of a campaign, whatever words are used."""

import json

import pytest

from postroom.cli.main import run
from postroom.client import Postroom
from postroom.errors import BadInputError, RefusedError, StoreUnavailableError
from postroom.model import Outcome, Submission
from postroom.store.connection import Store
from postroom.submission.retrying import Retriable, Retrier, Wanted
from tests.support.campaigns import PreparedCampaign
from tests.support.client_harness import ClientHarness
from tests.support.fake_carrier import FakeCarrier
from tests.support.worker_harness import WorkerHarness
from worker.ses.verdict import Kind

UNVERIFIED = "Email address is not verified (sandbox)"
DOMAIN = "no such domain in the Sandbox"


@pytest.fixture
def made(post: WorkerHarness, carrier: FakeCarrier) -> PreparedCampaign:
    """A campaign that is over: 0 and 1 unverified, 2 of no domain, the rest accepted."""
    made = post.make(6)
    for at, reason in ((0, UNVERIFIED), (1, UNVERIFIED), (2, DOMAIN)):
        carrier.refuse(made.addresses[at], Kind.REJECTED, reason)
    post.work_off(made)
    made.check_books()
    return made


def mailed(harness: ClientHarness, client: Postroom, made: PreparedCampaign) -> list[str]:
    """Everybody whom a retry mails, over all retries."""
    found = []
    for status in client.list():
        if status.id != made.id:
            harness.split(status.id)
            found += harness.emails(status.id)
    return found


def test_it_goes_to_those_who_were_rejected_for_that_reason(
    harness: ClientHarness, client: Postroom, made: PreparedCampaign
) -> None:
    [again] = client.retry(made.id, rejected="NOT VERIFIED")
    assert again.created
    harness.split(again.id)
    assert harness.emails(again.id) == list(made.addresses[:2])


def test_other_words_for_the_same_people_are_the_same_campaign(
    harness: ClientHarness, client: Postroom, made: PreparedCampaign
) -> None:
    [first] = client.retry(made.id, rejected="verified (sandbox)")
    for words in ("Verified (Sandbox)", "not verified", "Email address", UNVERIFIED.upper()):
        [again] = client.retry(made.id, rejected=words)
        assert (again.id, again.created) == (first.id, False)
    assert sorted(mailed(harness, client, made)) == sorted(made.addresses[:2])


def test_words_that_meet_more_reasons_mail_only_who_was_not_retried(
    harness: ClientHarness, client: Postroom, made: PreparedCampaign
) -> None:
    [first] = client.retry(made.id, rejected="not verified")
    before, new = client.retry(made.id, rejected="sandbox")
    assert (before.id, before.created, new.created) == (first.id, False, True)
    harness.split(new.id)
    assert harness.emails(new.id) == [made.addresses[2]]
    assert [one.created for one in client.retry(made.id, rejected="")] == [False, False]
    assert sorted(mailed(harness, client, made)) == sorted(made.addresses[:3])


def test_reasons_beyond_the_last_code_are_one(
    harness: ClientHarness, client: Postroom, post: WorkerHarness, carrier: FakeCarrier
) -> None:
    made = post.make(140, batch_size=70)
    for number, address in enumerate(made.addresses):
        carrier.refuse(address, Kind.REJECTED, f"reason <{number}>")
    for number in made.numbers:
        post.work_off(made, number)
    found = client.retriable(made.id)
    assert (found[-1].reason, found[-1].recipients) == ("other reasons", 13)
    client.retry(made.id, rejected="reason <7")
    client.retry(made.id, rejected="other")
    client.retry(made.id, rejected="reason")
    client.retry(made.id, rejected="OTHER REASONS")
    assert sorted(mailed(harness, client, made)) == sorted(made.addresses)


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.AMBIGUOUS, b"u"), (Outcome.EXPIRED, b"e")])
def test_the_ambiguous_and_the_expired_when_a_person_says_so(
    harness: ClientHarness, client: Postroom, made: PreparedCampaign, outcome: Outcome, code: bytes
) -> None:
    made.store.client.setrange(made.store.keys.campaign(made.id).ledger, 3, code)
    for _ in range(2):
        client.retry(made.id, **{outcome.value: True})
    assert mailed(harness, client, made) == [made.addresses[3]]
    (told,) = [one for one in client.retriable(made.id) if one.outcome is outcome]
    assert (told.recipients, told.reason) == (1, "")
    assert told.retried_by is not None


def test_an_attempt_that_died_before_its_submit_is_made_whole_by_the_next(
    harness: ClientHarness, client: Postroom, made: PreparedCampaign
) -> None:
    def dies(*_: object, key: str, by: str) -> Submission:
        raise StoreUnavailableError("away")

    retrier = Retrier(made.store, harness.settings.store, dies)
    with pytest.raises(StoreUnavailableError):
        retrier.retry(made.id, Wanted(rejected="sandbox"), by="ada")
    assert {one.retried_by for one in client.retriable(made.id)} == {None}
    # It was begun for three people, so it goes to three.
    [again] = client.retry(made.id, rejected="not verified")
    assert again.created
    assert sorted(mailed(harness, client, made)) == sorted(made.addresses[:3])


def test_who_could_be_retried_is_told_with_why_and_by_what(
    client: Postroom, made: PreparedCampaign
) -> None:
    [again] = client.retry(made.id, rejected="not verified")
    assert client.retriable(made.id) == [
        Retriable(outcome=Outcome.REJECTED, reason=UNVERIFIED, recipients=2, retried_by=again.id),
        Retriable(outcome=Outcome.REJECTED, reason=DOMAIN, recipients=1, retried_by=None),
    ]


def test_the_marks_go_with_the_records_of_the_campaign(
    client: Postroom, made: PreparedCampaign
) -> None:
    client.retry(made.id, rejected="")
    names = [*made.store.client.scan_iter(match=f"*{made.id}}}*")]
    assert names
    assert [name for name in names if made.store.client.ttl(name) < 0] == []


def test_it_is_refused_while_more_may_be_rejected(post: WorkerHarness, client: Postroom) -> None:
    with pytest.raises(RefusedError, match="not over"):
        client.retry(post.make(2).id, rejected="anything")


def test_nobody_and_nothing_said_are_bad_input(client: Postroom, made: PreparedCampaign) -> None:
    with pytest.raises(BadInputError, match=r"nobody of .* is rejected for 'else' or expired"):
        client.retry(made.id, rejected="else", expired=True)
    with pytest.raises(BadInputError, match="say whom"):
        client.retry(made.id)


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["retry", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command_shows_before_it_sends(
    client: Postroom,
    store: Store,
    made: PreparedCampaign,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = store.client.connection_pool.connection_kwargs
    monkeypatch.setenv("POSTROOM_REDIS_URL", f"redis://{address['host']}:{address['port']}/0")
    monkeypatch.setenv("POSTROOM_ACCOUNTS__MAIN__REGION", "eu-west-1")
    monkeypatch.setenv("POSTROOM_SENDERS__NEWS__ACCOUNT", "main")
    monkeypatch.setenv("POSTROOM_SENDERS__NEWS__FROM", "news@shop.example.com")
    store.client.setrange(store.keys.campaign(made.id).ledger, 3, b"u")

    code, out, err = command(capsys, made.id)
    assert (code, len(client.list())) == (0, 1)
    assert UNVERIFIED in out
    assert f"postroom retry {made.id} --rejected WORDS" in err
    assert f"postroom retry {made.id} --ambiguous" in err

    code, out, err = command(capsys, made.id, "--rejected", "verified", "--ambiguous")
    assert code == 0
    assert f"2 rejected: {UNVERIFIED}" in err
    assert "1 ambiguous" in err
    assert "may have the mail already" in err
    sent, _ = client.list()
    assert out.strip() == sent.id

    code, out, err = command(capsys, made.id, "--rejected", "verified", "--json")
    assert (code, json.loads(out)["retries"]) == (0, [{"id": sent.id, "created": False}])
    code, out, err = command(capsys, made.id, "--json")
    told = json.loads(out)["retriable"]
    assert [one["retried_by"] for one in told] == [sent.id, sent.id, None]
    assert command(capsys, made.id, "--rejected", "elsewhere")[0] == 2
