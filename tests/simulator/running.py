"""A simulator in its own process, and the handles tests use on it."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

ROOT = Path(__file__).parent.parent.parent
READY = "simulator listening on "
SENDER = "Shop News <news@shop.example.com>"


class RunningSimulator:
    """`python -m simulator` on a free port, with a real boto3 client and the inspection API."""

    def __init__(self, *flags: str) -> None:
        command = [sys.executable, "-m", "simulator", "--port", "0", *flags]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        line = self.process.stderr.readline().strip()
        assert line.startswith(READY), line + self.process.stderr.read()
        self.url = line.removeprefix(READY)
        self.ses = self.client()

    def client(
        self,
        *,
        access_key: str = "AKIATEST",
        region: str = "eu-west-1",
        read_timeout: float = 10,
    ) -> Any:
        """A client with the SDK's own retries off, as a sender has it."""
        config = Config(
            retries={"total_max_attempts": 1},
            read_timeout=read_timeout,
            parameter_validation=False,  # so that the simulator is asked, not botocore
        )
        return boto3.client(
            "sesv2",
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=access_key,
            aws_secret_access_key="secret",
            config=config,
        )

    def get(self, path: str) -> Any:
        return json.loads(self.text(f"/_simulator/{path}"))

    def text(self, path: str) -> str:
        with urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()

    def post(self, path: str, body: object = None, *, method: str = "POST") -> Any:
        content = json.dumps(body if body is not None else {}).encode()
        request = Request(f"{self.url}/_simulator/{path}", data=content, method=method)
        with urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def refused(self, path: str, body: object) -> str:
        """The reason the inspection API gives for not taking `body`."""
        with pytest.raises(HTTPError) as caught:
            self.post(path, body)
        assert caught.value.code == 400
        return json.loads(caught.value.read())["error"]

    @property
    def stats(self) -> Any:
        return self.get("stats")

    def settings(self, **values: object) -> None:
        self.post("settings", values)

    def fault(self, kind: str, **members: object) -> None:
        self.post("faults", {"kind": kind, **members})

    def send(self, *to: str, subject: str = "Autumn", by: Any = None, **more: Any) -> str:
        """SendEmail of a simple mail, perhaps by another client; the message id."""
        content = {"Simple": {"Subject": {"Data": subject}, "Body": {"Text": {"Data": "Hello"}}}}
        request = {
            "FromEmailAddress": SENDER,
            "Destination": {"ToAddresses": list(to or ["ana@example.org"])},
            "Content": content,
            **more,
        }
        return (by or self.ses).send_email(**request)["MessageId"]

    def send_bulk(
        self, to: Sequence[str], template: Mapping[str, Any] | None = None, **more: Any
    ) -> list[dict[str, str]]:
        """SendBulkEmail with one recipient an entry; the results."""
        entries = [{"Destination": {"ToAddresses": [address]}} for address in to]
        return self.send_entries(entries, template, **more)

    def send_entries(
        self, entries: Sequence[Any], template: Mapping[str, Any] | None = None, **more: Any
    ) -> list[dict[str, str]]:
        content = {"Subject": "Hi {{name}}", "Text": "Hello {{name}}", "Html": "<p>{{name}}</p>"}
        template = template or {"TemplateContent": content, "TemplateData": '{"name": "friend"}'}
        request = {
            "FromEmailAddress": SENDER,
            "DefaultContent": {"Template": template},
            "BulkEmailEntries": list(entries),
            **more,
        }
        return self.ses.send_bulk_email(**request)["BulkEmailEntryResults"]

    def last_mail(self) -> Any:
        return self.get("mails?limit=1")["mails"][0]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(timeout=20)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()


def people(count: int, *, at: str = "example.org") -> list[str]:
    return [f"user{number}@{at}" for number in range(count)]


def statuses(results: Sequence[Mapping[str, str]]) -> list[str]:
    return [one["Status"] for one in results]


def said(error: ClientError) -> tuple[int, str, str | None]:
    """HTTP status, code and message of an answer that is an error."""
    about = error.response["Error"]
    return error.response["ResponseMetadata"]["HTTPStatusCode"], about["Code"], about.get("Message")
