"""A local stack to measure on: real Redis, real Celery processes, the local SES, on loopback."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import psutil

from postroom import settings
from postroom.client import Postroom
from postroom.localstack import simulator
from postroom.localstack.program import Program
from postroom.localstack.stack import LocalStack, Shape
from postroom.model import Campaign, CampaignId, Recipient, SenderName, State, Status

HTML = "<h1>Hello {{ name }}</h1>" + "<p>Autumn is here, and so are our new boots.</p>" * 40
TEXT = "Hello {{ name }},\nAutumn is here, and so are our new boots."
_OPENER = build_opener(ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run, counted at the local SES and at the operating system."""

    recipients: int
    seconds: float
    """From the first to the last accepted mail."""
    stats: dict[str, Any]
    cpu_seconds: dict[str, float]
    """By kind of process: worker, producer, redis, client, simulator."""

    @property
    def mails_per_second(self) -> float:
        return self.stats["accepted"] / max(self.seconds, 1e-9)

    @property
    def ours_us_per_mail(self) -> float:
        ours = sum(spent for kind, spent in self.cpu_seconds.items() if kind != "simulator")
        return ours / self.stats["accepted"] * 1e6

    @property
    def steady_rate(self) -> float:
        """Mails a second over the whole seconds after the first and before the last."""
        middle = [count for _, count in self.stats["accepted_per_second"][1:-1]]
        return sum(middle) / max(1, len(middle))


@dataclass(slots=True)
class Lab:
    """One stack; campaigns run on it one after the other."""

    stack: LocalStack
    postroom: Postroom
    started: dict[str, float] = field(default_factory=dict)

    def run(self, recipients: int, *, timeout_seconds: float = 600, **campaign: Any) -> Figures:
        """Send one campaign and wait for its end."""
        before = self.cpu()
        campaign_id = self.submit(recipients, **campaign)
        self.wait(campaign_id, timeout_seconds)
        after = self.cpu()
        stats = simulator.stats(self.stack.ses_url)
        return Figures(
            recipients=recipients,
            seconds=stats["last_accepted_at"] - stats["first_accepted_at"],
            stats=stats,
            cpu_seconds={kind: after[kind] - before.get(kind, 0.0) for kind in after},
        )

    def submit(self, recipients: int, **campaign: Any) -> CampaignId:
        given = {"name": "benchmark", "sender": SenderName("news"), "subject": "Hi {{ name }}"}
        given |= {"html": HTML, "text": TEXT, **campaign}
        people = (
            Recipient(f"person{number}@example.org", {"name": f"Person {number}"})
            for number in range(recipients)
        )
        return self.postroom.submit(Campaign(**given), people).id

    def wait(self, campaign_id: CampaignId, timeout_seconds: float) -> Status:
        deadline = time.monotonic() + timeout_seconds
        while (status := self.postroom.status(campaign_id)).state is not State.FINISHED:
            self.stack.check()
            if time.monotonic() > deadline or status.state is State.HALTED:
                raise SystemExit(f"no end in {timeout_seconds:g} s: {status}")
            time.sleep(0.2)  # noqa: TID251 - a benchmark's own pace
        if not status.totals.balanced:
            raise SystemExit(f"the books do not balance: {status.totals}")
        return status

    def start_worker(self, environ: Mapping[str, str]) -> Program:
        """Start a worker whose environment has these over the stack's; "" takes one away."""
        given = dict(self.stack.environ)
        self.stack.environ.update(environ)
        for name in [name for name, value in environ.items() if not value]:
            del self.stack.environ[name]
        try:
            return self.stack.start_worker()
        finally:
            self.stack.environ.clear()
            self.stack.environ.update(given)

    def ask_ses(self, method: str, what: str, given: Any = None) -> bytes:
        """Ask the inspection API of the local SES."""
        body = None if given is None else json.dumps(given).encode()
        url = f"{self.stack.ses_url}/_simulator/{what}"
        with _OPENER.open(Request(url, data=body, method=method), timeout=60) as answer:
            return bytes(answer.read())

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds that each kind of process has spent; the simulator is not ours."""
        spent: dict[str, float] = {"client": _seconds(psutil.Process())}
        for child in psutil.Process().children(recursive=True):
            kind = _kind(child)
            if kind:
                spent[kind] = spent.get(kind, 0.0) + _seconds(child)
        return spent


@contextmanager
def lab(shape: Shape, *, account: str = "", **environ: str) -> Iterator[Lab]:
    """Start a stack. `account` is TOML that goes into [accounts.local]."""
    with TemporaryDirectory(prefix="postroom-bench-") as folder:
        config = Path(folder) / "lab.toml"
        config.write_text(
            "[redis]\nallow_eviction = true\n[accounts.local]\nregion = 'eu-west-1'\n"
            f"{account}\n[senders.news]\naccount = 'local'\nfrom = 'news@shop.example.com'\n"
        )
        given = settings.environment() | {"POSTROOM_CONFIG": str(config)} | environ
        given.pop("POSTROOM_REDIS_URL", None)
        given.pop("AWS_ENDPOINT_URL_SESV2", None)
        with (
            LocalStack(shape, environ=given) as stack,
            Postroom(settings=settings.load(stack.environ)) as postroom,
        ):
            yield Lab(stack=stack, postroom=postroom)


def report(name: str, **figures: Any) -> None:
    """Print one line of JSON: what was measured, and the figures."""
    shown = {
        key: round(value, 3) if isinstance(value, float) else value
        for key, value in figures.items()
    }
    print(json.dumps({"benchmark": name, **shown}), flush=True)


def _kind(process: psutil.Process) -> str:
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return ""
    kinds = {
        "worker.app": "worker",
        "producers.app": "producer",
        "redis-server": "redis",
        "simulator": "simulator",
        "plain_sender": "plain",
    }
    return next((kind for word, kind in kinds.items() if word in line), "")


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
