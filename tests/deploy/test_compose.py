"""compose.yaml, by its structure: no engine is needed to see what it would start."""

import re
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
import yaml

from postroom import settings
from postroom.localstack import redis_server
from postroom.localstack.program import free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
CASES = {"worker", "producer", "flower", "simulator", "postroom", "ping"}

Service = dict[str, Any]


def services() -> dict[str, Service]:
    """Return the services, with what `<<` merges into them."""
    read: dict[str, Service] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return read["services"]


def variables(text: str) -> set[str]:
    return set(re.findall(r"(?<!\$)\$\{(\w+)", text))


def named_in(file: Path) -> set[str]:
    return set(re.findall(r"^#? ?([A-Z_]+)=", file.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_service_of_ours_starts_a_case_of_the_entrypoint() -> None:
    entrypoint = (DEPLOY / "entrypoint.sh").read_text(encoding="utf-8")
    assert set(re.findall(r"^    (\w+)\)$", entrypoint, re.MULTILINE)) == CASES
    for name, service in services().items():
        if service["image"] == "postroom":
            words = [*service.get("entrypoint", ["/app/entrypoint.sh"]), *service["command"]]
            assert words[0] == "/app/entrypoint.sh", name
            assert words[1] in CASES, name
        check = service.get("healthcheck", {}).get("test", [])
        if "/app/entrypoint.sh" in check:
            assert check[-2:] == ["ping", name]


@pytest.mark.parametrize("name", services())
def test_a_container_has_no_more_than_it_needs(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"]
    assert service["mem_limit"]


def test_nothing_is_published_beyond_this_machine_unless_asked() -> None:
    ports = {name: service.get("ports", []) for name, service in services().items()}
    assert ports.pop("simulator") == ["127.0.0.1:8005:8005"]
    assert ports.pop("flower") == ["${FLOWER_ADDRESS:-127.0.0.1}:5555:5555"]
    assert services()["flower"]["environment"]["FLOWER_PUBLISHED"] == "${FLOWER_ADDRESS:-127.0.0.1}"
    assert not any(ports.values())


def test_what_may_be_set_stands_in_the_example() -> None:
    asked = variables((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    shown = named_in(ROOT / "config" / ".env.example")
    assert asked <= shown
    assert "REDIS_PASSWORD" in named_in(DEPLOY / "simulator.env")


def test_the_command_of_its_redis_is_one(tmp_path: Path) -> None:
    """Its shell command with our redis-server: a password, a limit, never an eviction."""
    shell, flag, script = services()["redis"]["command"]
    port = free_port()
    script = script.replace("$$", "$").replace("/data", str(tmp_path))
    script = script.replace(
        "redis-server -", f"{redis_server.binary(settings.environment())} - --port {port}", 1
    )
    environ = settings.environment() | {"REDISCLI_AUTH": "s3cret", "REDIS_MAXMEMORY": "64mb"}
    process = subprocess.Popen([shell, flag, script], env=environ, stdout=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port, password="s3cret", decode_responses=True) as client:
            wait_until(lambda: answers(client), "it answers with the password")
            told = client.config_get()
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert told["maxmemory"] == str(64 * 1024 * 1024)
        assert (told["maxmemory-policy"], told["appendonly"]) == ("noeviction", "yes")
        assert "s3cret" not in " ".join(psutil.Process(process.pid).cmdline())
    finally:
        process.kill()
        process.wait(timeout=20)


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
