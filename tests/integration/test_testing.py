"""`postroom.testing` as a service uses it: its own tests, in a pytest of their own."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.service_tests import run_tests, written

ROOT = Path(__file__).parent.parent.parent
CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def postroom_senders():
    return {"news": "Café News <news@shop.example.com>", "billing": "billing@shop.example.com"}
"""
SHOP = """
from functools import cache

from postroom.client import Postroom
from postroom.model import Campaign, Message


@cache
def post():
    return Postroom()


def announce(title, people):
    campaign = Campaign(
        name=title,
        sender="news",
        subject="New: {{ title }}",
        html="<p>{{ name }}</p>",
        defaults={"title": title, "name": "you"},
    )
    return post().submit(campaign, people, key=title).id


def reset(address):
    return post().send("billing", Message(subject="Reset", text="here"), address)
"""
TESTS = """
import shop
from postroom.model import Outcome, State


def test_an_announcement_is_read(postroom):
    people = [{"email": "ada@example.com", "name": "Ada <3"}, "bob@example.com", "nobody"]
    made = shop.announce("Autumn", people)
    first, second = postroom.outbox
    assert first.from_ == "Café News <news@shop.example.com>"
    assert (first.to, first.subject) == ("ada@example.com", "New: Autumn")
    assert (first.html, second.html) == ("<p>Ada &lt;3</p>", "<p>you</p>")
    assert postroom.client.status(made).state is State.FINISHED
    assert [row.email for row in postroom.client.report(made, outcome=Outcome.ACCEPTED)] == [
        "ada@example.com", "bob@example.com"
    ]


def test_nothing_is_left_of_another_test_and_a_key_works(postroom):
    assert postroom.outbox == []
    for _ in range(2):
        shop.announce("Autumn", ["ada@example.com"])
        assert len(postroom.outbox) == 1


def test_who_paused_it_is_told(postroom):
    made = shop.announce("Autumn", ["ada@example.com"])
    postroom.client.pause(made, by="night shift")
    postroom.work()
    postroom.client.resume(made, by="editor")
    assert len(postroom.outbox) == 1
    told = [(one.event, one.by) for one in postroom.client.log(made) if not one.account]
    assert told[1:] == [
        ("paused", "night shift"), ("resumed", "editor"),
        ("split", ""), ("started", ""), ("finished", ""),
    ]
    assert postroom.client.account_totals("local")["accepted:bulk"] == 1


def test_what_is_paused_waits_and_a_message_goes(postroom):
    made = shop.announce("Autumn", ["ada@example.com"])
    postroom.client.pause(made)
    shop.reset("bob@example.com")
    [mail] = postroom.outbox
    assert (mail.to, mail.from_) == ("bob@example.com", "billing@shop.example.com")
    postroom.client.resume(made)
    assert [mail.to for mail in postroom.outbox] == ["bob@example.com", "ada@example.com"]
"""
STACK_TEST = """
import shop


def test_real_processes_send(postroom_stack):
    shop.post.cache_clear()
    shop.announce("Autumn", ["ada@example.com"])
    [mail] = postroom_stack.outbox
    assert mail.subject == "New: Autumn"
    shop.post.cache_clear()
"""
OWN_WORKER_TEST = """
import worker


def test_of_a_service_with_a_worker_itself(postroom):
    pass
"""


def service(folder: Path, **tests: str) -> Path:
    files = {"conftest": CONFTEST, "shop": SHOP, **tests}
    return written(folder, {f"{name}.py": text for name, text in files.items()})


def test_a_services_tests_read_the_mails(tmp_path: Path) -> None:
    code, said = run_tests(service(tmp_path, test_shop=TESTS))
    assert code == 0, said
    assert "4 passed" in said


def test_a_services_tests_may_have_real_processes(tmp_path: Path) -> None:
    own = {"worker": "", "test_own": OWN_WORKER_TEST.replace("(postroom)", "()")}
    code, said = run_tests(service(tmp_path, test_stack=STACK_TEST, **own))
    assert code == 0, said


def test_a_service_with_a_package_of_such_a_name_is_told_what_to_use(tmp_path: Path) -> None:
    code, said = run_tests(service(tmp_path, worker="", test_own=OWN_WORKER_TEST))
    assert code == 1
    assert "has a package `worker` itself" in said
    assert "use the fixture postroom_stack" in said


@pytest.mark.slow
def test_the_wheel_is_enough_in_an_empty_environment(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", f"postroom[testing] @ {wheel.as_uri()}"]
    subprocess.run(install, check=True, capture_output=True)
    folder = tmp_path / "service"
    code, said = run_tests(service(folder, test_shop=TESTS, test_stack=STACK_TEST), python=python)
    assert code == 0, said
    assert "5 passed" in said
