"""What a service that installs Postroom sees of the package itself."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import postroom
from postroom import client, model


def test_what_a_service_needs_is_in_the_package() -> None:
    assert postroom.Postroom is client.Postroom
    for name in ("Campaign", "Message", "Recipient"):
        assert getattr(postroom, name) is getattr(model, name)
    assert postroom.__version__ == version("postroom")
    with pytest.raises(AttributeError):
        postroom.nonsense  # type: ignore[attr-defined]  # noqa: B018
    assert (Path(postroom.__file__).parent / "py.typed").exists()


def loaded_by(statement: str) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", f"{statement}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ran.stdout.split())


def test_the_client_loads_what_is_heavy_when_it_is_used() -> None:
    loaded = loaded_by("import postroom.client")
    assert (
        loaded & {"redis", "celery", "kombu", "postroom.health.doctor", "postroom.health.janitor"}
        == set()
    )
    assert "postroom.client" not in loaded_by("import postroom")


def test_a_type_checker_sees_plain_strings_taken(tmp_path: Path) -> None:
    uses = tmp_path / "service.py"
    uses.write_text(
        "from postroom import Campaign, Message, Postroom, Recipient, __version__\n"
        "def use(post: Postroom) -> str:\n"
        "    campaign = Campaign(name='a', sender='news', subject='s', text='t')\n"
        "    given = post.submit(campaign, ['a@x.example'])\n"
        "    post.send('news', Message(subject='s', text='t'), Recipient('a@x.example'))\n"
        "    post.pause('c1'); post.resume('c1'); post.status('c1'); post.pause_account('main')\n"
        "    return given.id + __version__\n",
        encoding="utf-8",
    )
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(uses)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
