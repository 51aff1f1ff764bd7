"""The examples of docs/enqueue.md work as they stand there, but for the addresses."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom import settings
from postroom.client import Postroom
from postroom.localstack.stack import LocalStack, Shape
from postroom.model import CampaignId, Outcome, State
from tests.support.waiting import wait_until

PAGE = Path(__file__).parent.parent.parent / "docs" / "enqueue.md"
CLEAN = {
    name: value
    for name, value in settings.environment().items()
    if not name.startswith(("POSTROOM_", "AWS_"))
}


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


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


def test_the_examples_for_frameworks_are_python() -> None:
    django, fastapi, cron = examples("py")
    for code in (django, fastapi, cron):
        compile(code, "docs/enqueue.md", "exec")


def test_the_script_for_cron_runs_and_a_second_run_is_the_same_campaign(
    stack: LocalStack, tmp_path: Path
) -> None:
    *_, cron = examples("py")
    people = tmp_path / "people.csv"
    people.write_text("email,first_name\nada@example.com,Ada\n", encoding="utf-8")
    code = cron.replace('"people.csv"', repr(str(people)))
    code = code.replace("Postroom()", f"Postroom({stack.redis_url!r})")
    assert run(stack, code) == run(stack, code) != ""


def test_the_python_client_hands_in_a_campaign(stack: LocalStack) -> None:
    python, *_ = examples("python")
    campaign, _ = run(stack, python).split()
    with Postroom(settings=settings.load(stack.environ)) as post:
        *_, ended = post.watch(CampaignId(campaign), 0.1)
    assert (ended.state, ended.totals.accepted) == (State.FINISHED, 1000)


def test_a_message_to_one_person_arrives(stack: LocalStack) -> None:
    _, message, _ = examples("python")
    sent, _ = run(stack, message).split()
    assert run(stack, message).split()[0] == sent
    with Postroom(settings=settings.load(stack.environ)) as post:
        *_, ended = post.watch(CampaignId(sent), 0.1)
        [row] = post.report(ended.id)
    assert (row.email, row.outcome) == ("ada@example.com", Outcome.ACCEPTED)


def test_plain_celery_hands_in_a_campaign(stack: LocalStack, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("email,first_name\nada@example.com,Ada\n", encoding="utf-8")
    *_, celery = examples("python")
    assert "import postroom" not in celery
    # Another key than the example before it.
    code = celery.replace("/srv/shared/people.csv", str(people)).replace("autumn-2026", "celery")
    run(stack, code)
    with Postroom(settings=settings.load(stack.environ)) as post:
        wait_until(lambda: post.list(1) and post.list(1)[0].totals.accepted == 1, "it is sent")
