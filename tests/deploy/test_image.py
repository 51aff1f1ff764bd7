"""The image runs: every process of its entrypoint, from its own files, and a campaign is sent."""

import json
import os
import signal
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import psutil
import pytest

import postroom
from postroom.localstack.program import free_port
from tests.support import image
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
PARTS = {"config", "entrypoint.sh", "postroom", "producers", "simulator", "worker"}
OPENER = build_opener(ProxyHandler({}))
CAMPAIGN = """
name = "From the image"
sender = "news"
subject = "Hello {{ name }}"
text = "Hello {{ name }}"
"""

pytestmark = pytest.mark.skipif(
    not image.can_be_built(), reason="no mount namespace is to be had here"
)


def answer(url: str) -> bytes:
    try:
        with OPENER.open(url, timeout=5) as given:
            return bytes(given.read())
    except OSError:
        return b""


class Containers:
    """Processes of one image, as compose.yaml would have them on one host."""

    def __init__(self, stage: image.Stage, folder: Path, redis_url: str) -> None:
        self.mounted = folder / "w"
        self.mounted.mkdir(mode=0o755)
        self.ses, self.flower = free_port(), free_port()
        self._stage = stage
        self._folder = folder
        self._environ = {
            "POSTROOM_REDIS_URL": redis_url,
            "POSTROOM_CONFIG": "/app/config/local.toml",
            "AWS_ENDPOINT_URL_SESV2": f"http://127.0.0.1:{self.ses}",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "FLOWER_PORT": str(self.flower),
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self._log(arguments[0]).open("wb") as out:
            process = subprocess.Popen(self._command(arguments), stdout=out, stderr=out)
        self._started.append(process)
        return process

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(arguments), capture_output=True, text=True, timeout=90, check=False
        )

    def said(self, name: str) -> str:
        return self._log(name).read_text(encoding="utf-8", errors="replace")

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.wait(timeout=20)

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return image.command(self._stage, arguments, environ=self._environ, mounted=self.mounted)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


@pytest.fixture(
    params=[
        pytest.param(Path(sysconfig.get_path("purelib")), id="packages of the checkout"),
        pytest.param(None, id="packages by pip", marks=pytest.mark.slow),
    ]
)
def containers(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    redis_server: RedisServer,
) -> Iterator[Containers]:
    folder = tmp_path_factory.mktemp("image")
    # pytest's folders are for their owner alone; the image's user must pass through.
    for one in (folder, *folder.parents[:2]):
        one.chmod(0o755)
    dockerfile = ROOT / "deploy" / "Dockerfile"
    stage = image.build(dockerfile, context=ROOT, folder=folder, packages=request.param)
    assert {path.name for path in stage.at(".").iterdir()} == PARTS
    redis_server.client.flushall()
    containers = Containers(stage, folder, redis_server.url)
    yield containers
    containers.end()


def test_every_process_of_the_image_runs_and_a_campaign_is_sent(containers: Containers) -> None:
    """One test, as the image takes a while to build."""
    containers.start("simulator", "--port", str(containers.ses), "--rate", "0")
    worker, producer = (start_and_ask(containers, kind) for kind in ("worker", "producer"))
    containers.start("flower")
    send_a_campaign(containers)
    flower = f"http://127.0.0.1:{containers.flower}/healthcheck"
    wait_until(lambda: answer(flower) == b"OK", "Flower is healthy")
    for process in (worker, producer):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    said = containers.run("postroom", "--version").stdout
    assert said == f"postroom {postroom.__version__}\n"
    assert containers.run("nothing").stderr.startswith("usage: entrypoint.sh worker|producer|")


def start_and_ask(containers: Containers, kind: str) -> subprocess.Popen[bytes]:
    process = containers.start(kind, "-n", f"{kind}@%h")
    wait_until(lambda: f"{kind}.ready" in containers.said(kind), f"the {kind} is ready")
    if os.geteuid() == 0:
        assert psutil.Process(process.pid).uids().real == 10001
        assert psutil.Process(process.pid).gids().real == 10001
    asked = containers.run("ping", kind)
    assert asked.returncode == 0, asked.stderr
    return process


def send_a_campaign(containers: Containers) -> None:
    (containers.mounted / "campaign.toml").write_text(CAMPAIGN)
    rows = "".join(f"person{number}@example.com,P{number}\n" for number in range(200))
    (containers.mounted / "people.csv").write_text(f"email,name\n{rows}")
    people = ("--recipients", "/w/people.csv")
    sent = containers.run("postroom", "submit", "/w/campaign.toml", *people, "--wait")
    assert sent.returncode == 0, sent.stderr
    stats = json.loads(answer(f"http://127.0.0.1:{containers.ses}/_simulator/stats"))
    assert (stats["accepted"], stats["duplicates"]["extra"]) == (200, 0)
