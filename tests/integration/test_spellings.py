"""However an address is spelt, it is one mailbox: on the list, in a file, and in a message."""

import itertools

import pytest

from postroom.errors import BadInputError
from postroom.model import Message, State
from tests.support.client_harness import ClientHarness

SPELLINGS = (
    "opt.out@bücher.example",
    "Opt.Out@XN--bcher-KVA.example",
    '"opt.out"@BÜCHER.example',
)
MAILBOX = "opt.out@xn--bcher-kva.example"
PAIRS = list(itertools.product(SPELLINGS, SPELLINGS))


@pytest.fixture
def post(harness: ClientHarness) -> ClientHarness:
    harness.store.client.hset(harness.store.keys.senders, "news", "main")
    return harness


@pytest.mark.parametrize(("listed", "given"), PAIRS)
def test_whoever_is_on_the_list_is_not_mailed(post: ClientHarness, listed: str, given: str) -> None:
    post.post.suppress(listed, "asked for it")
    status = post.split(post.submitted([given, "ann@example.com"]))
    assert (status.totals.suppressed, status.totals.pending) == (1, 1)
    sent = post.post.send("news", Message(subject="Hi", text="Hi"), given)
    assert post.post.status(sent.id).totals.suppressed == 1


@pytest.mark.parametrize(("listed", "given"), PAIRS)
def test_whoever_is_taken_off_the_list_is_mailed(
    post: ClientHarness, listed: str, given: str
) -> None:
    post.post.suppress(listed, "asked for it")
    assert post.post.unsuppress(given)
    assert post.split(post.submitted([listed])).totals.pending == 1


def test_nobody_is_mailed_twice_for_another_spelling(post: ClientHarness) -> None:
    campaign_id = post.submitted([*SPELLINGS, "ann@example.com"])
    status = post.split(campaign_id)
    assert (status.totals.pending, status.totals.duplicate) == (2, 2)
    assert [email.lower() for email in post.emails(campaign_id)] == [MAILBOX, "ann@example.com"]


def test_what_is_sent_has_no_quotes(post: ClientHarness) -> None:
    campaign_id = post.submitted(['"Opt.Out"@bücher.example'])
    post.split(campaign_id)
    assert post.emails(campaign_id) == ["Opt.Out@xn--bcher-kva.example"]


def test_one_that_needs_its_quotes_is_refused_in_one_line(post: ClientHarness) -> None:
    status = post.split(campaign_id := post.submitted(['"opt out"@example.com', "a@example.com"]))
    assert (status.totals.invalid, status.totals.pending) == (1, 1)
    (bad,) = post.post.bad_rows(campaign_id)
    assert bad.reason == "a name before the @ that needs quotes: SES cannot send to it"
    with pytest.raises(BadInputError, match="needs quotes"):
        post.post.send("news", Message(subject="Hi", text="Hi"), '"opt out"@example.com')
    assert status.state is not State.FINISHED
