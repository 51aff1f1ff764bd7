"""What most people write first, to compare with: one Celery task a recipient, boto3 SendEmail."""

import subprocess
import sys
import time

import boto3
from celery import Celery

from benchmarks.lab import HTML, TEXT, lab
from postroom import settings
from postroom.localstack import simulator
from postroom.localstack.stack import Shape

_THREADS = 32

app = Celery("plain_sender", broker=settings.environment().get("POSTROOM_REDIS_URL"))
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=4)
_clients: list[object] = []


@app.task(name="plain.send")
def send(address: str, name: str) -> None:
    if not _clients:
        _clients.append(
            boto3.client("sesv2", config=boto3.session.Config(max_pool_connections=_THREADS))
        )
    _clients[0].send_email(  # type: ignore[attr-defined]
        FromEmailAddress="news@shop.example.com",
        Destination={"ToAddresses": [address]},
        Content={
            "Simple": {
                "Subject": {"Data": f"Hi {name}"},
                "Body": {
                    "Html": {"Data": HTML.replace("{{ name }}", name)},
                    "Text": {"Data": TEXT.replace("{{ name }}", name)},
                },
            }
        },
    )


def measure(recipients: int) -> float:
    """Return mails a second, counted at the local SES from the first to the last."""
    with lab(Shape(workers=0, producers=0, latency_ms=60)) as room:
        app.conf.broker_url = room.stack.redis_url
        with app.producer_pool.acquire(block=True) as producer:
            for number in range(recipients):
                send.apply_async(
                    (f"person{number}@example.org", f"Person {number}"), producer=producer
                )
        command = [sys.executable, "-m", "celery", "--quiet", "-A", "benchmarks.plain_sender"]
        command += ["worker", "-P", "threads", "-c", str(_THREADS), "--loglevel", "ERROR"]
        worker = subprocess.Popen(command, env=room.stack.environ)
        try:
            while (stats := simulator.stats(room.stack.ses_url))["accepted"] < recipients:
                time.sleep(0.2)  # noqa: TID251 - a benchmark's own pace
        finally:
            worker.terminate()
            worker.wait(30)
    return float(recipients / (stats["last_accepted_at"] - stats["first_accepted_at"]))
