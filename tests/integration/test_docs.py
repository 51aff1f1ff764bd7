"""The examples of docs/enqueue.md work as they stand there, but for the addresses."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom import settings
from postroom.client import Postroom
from postroom.localstack import simulator
from postroom.localstack.stack import LocalStack, Shape
from postroom.model import CampaignId, Outcome, State
from tests.support.pages import examples, headings
from tests.support.waiting import wait_until

PAGE = "enqueue.md"
CLEAN = {
    name: value
    for name, value in settings.environment().items()
    if not name.startswith(("POSTROOM_", "AWS_"))
}


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    shared = {"POSTROOM_PRODUCER__SOURCE_FOLDER": "/"}
    with LocalStack(Shape(), environ=CLEAN | shared) as running:
        yield running


def run(stack: LocalStack, code: str) -> str:
    here = code.replace("redis://127.0.0.1:6379/0", stack.redis_url)
    ran = subprocess.run(
        [sys.executable, "-c", here], env=CLEAN, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def accepted(post: Postroom, message: str) -> bool:
    *_, ended = post.watch(message, 0.1)
    [row] = post.report(message)
    return (ended.totals.accepted, row.outcome) == (1, Outcome.ACCEPTED)


@pytest.mark.parametrize(
    ("page", "heading"), [(page, one) for page in (PAGE, "testing.md") for one in headings(page)]
)
def test_every_example_is_python(page: str, heading: str) -> None:
    for code in examples(page, heading):
        compile(code, f"docs/{page}", "exec")


def test_the_script_for_cron_runs_and_a_second_run_is_the_same_campaign(
    stack: LocalStack, tmp_path: Path
) -> None:
    [cron] = examples(PAGE, "In a script that cron runs")
    people = tmp_path / "people.csv"
    people.write_text("email,first_name\nada@example.com,Ada\n", encoding="utf-8")
    code = cron.replace('"people.csv"', repr(str(people)))
    code = code.replace("Postroom()", f"Postroom({stack.redis_url!r})")
    assert run(stack, code) == run(stack, code) != ""


def test_the_python_client_hands_in_a_campaign(stack: LocalStack) -> None:
    [python] = examples(PAGE, "From Python")
    campaign, _ = run(stack, python).split()
    with Postroom(settings=settings.load(stack.environ)) as post:
        *_, ended = post.watch(CampaignId(campaign), 0.1)
    assert (ended.state, ended.totals.accepted) == (State.FINISHED, 1000)


def test_a_message_to_one_person_arrives(stack: LocalStack) -> None:
    [message] = examples(PAGE, "One mail to one person")
    sent, _ = run(stack, message).split()
    assert run(stack, message).split()[0] == sent
    with Postroom(settings=settings.load(stack.environ)) as post:
        assert accepted(post, sent)
    [mail] = simulator.asked(stack.ses_url, "mails?address=ada@example.com")["mails"]
    assert mail["tags"]["campaign"] == sent.rpartition("-")[0]


def test_many_messages_arrive_and_a_second_run_sends_none(stack: LocalStack) -> None:
    [many] = examples(PAGE, "Many messages at once")
    made = run(stack, many).split()
    assert run(stack, many).split() == made
    with Postroom(settings=settings.load(stack.environ)) as post:
        assert [accepted(post, one) for one in made] == [True, True]


def test_a_mail_that_is_made_already_arrives_and_made_anew_is_another(stack: LocalStack) -> None:
    [ready] = examples(PAGE, "A mail that is made already")
    made = run(stack, ready).split()
    with Postroom(settings=settings.load(stack.environ)) as post:
        assert [accepted(post, one) for one in made] == [True, True]
    with pytest.raises(AssertionError, match="used for another message"):
        run(stack, ready)


def test_plain_celery_hands_in_a_campaign(stack: LocalStack, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("email,first_name\nada@example.com,Ada\n", encoding="utf-8")
    [celery] = examples(PAGE, "As a Celery task")
    assert "import postroom" not in celery
    # Another key than the example before it.
    code = celery.replace("/srv/shared/people.csv", str(people)).replace("autumn-2026", "celery")
    run(stack, code)
    with Postroom(settings=settings.load(stack.environ)) as post:
        wait_until(lambda: post.list(1) and post.list(1)[0].totals.accepted == 1, "it is sent")


def test_plain_celery_sends_a_few_recipients_in_its_message(stack: LocalStack) -> None:
    [celery] = examples(PAGE, "A few recipients in the message itself")
    run(stack, celery)
    with Postroom(settings=settings.load(stack.environ)) as post:
        wait_until(lambda: post.list(key="shifts-today"), "it is submitted")
        *_, ended = post.watch(post.list(key="shifts-today")[0].id, 0.1)
    assert (ended.state, ended.totals.accepted) == (State.FINISHED, 2)
    for log in stack.folder.glob("producer*.log"):
        assert "bob@example.com" not in log.read_text(encoding="utf-8")


def test_coroutines_send_messages(stack: LocalStack) -> None:
    [example] = examples(PAGE, "In asyncio")
    made = run(stack, example.replace("Postroom()", f"Postroom({stack.redis_url!r})")).split()
    with Postroom(settings=settings.load(stack.environ)) as post:
        assert [accepted(post, one) for one in made] == [True, True]
