"""How much the simulator takes: `python -m tests.simulator.speed URL [bulk|single] [SECONDS]`.

Raw keep-alive connections post prepared requests, so that the client costs little; pin the two
processes to a core each (`taskset`) to measure one core.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

CONNECTIONS = 8
CALLS_PREPARED = 2000
SIGNED = "AWS4-HMAC-SHA256 Credential=AKIATEST/20261103/eu-west-1/ses/aws4_request"
PATHS = {"bulk": "/v2/email/outbound-bulk-emails", "single": "/v2/email/outbound-emails"}


def bulk(number: int) -> dict[str, Any]:
    text = "Hello {{name}}, {{code}} {{url}}"
    content = {"Subject": "Hi {{name}}", "Text": text, "Html": f"<p>{text}</p>" * 20}
    return {
        "FromEmailAddress": "Shop News <news@shop.example.com>",
        "DefaultEmailTags": [{"Name": "campaign", "Value": "c42"}],
        "DefaultContent": {"Template": {"TemplateContent": content, "TemplateData": "{}"}},
        "BulkEmailEntries": [entry(number * 50 + index) for index in range(50)],
    }


def entry(person: int) -> dict[str, Any]:
    url = f"https://shop.example.com/u/{person:016x}"
    values = json.dumps({"name": f"Person {person}", "code": "x" * 40, "url": url})
    return {
        "Destination": {"ToAddresses": [f"user{person:09d}@example.org"]},
        "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": values}},
        "ReplacementHeaders": [{"Name": "List-Unsubscribe", "Value": f"<{url}>"}],
        "ReplacementTags": [{"Name": "index", "Value": str(person)}],
    }


def single(number: int) -> dict[str, Any]:
    body = {"Html": {"Data": "<p>Hello</p>" * 100}}
    return {
        "FromEmailAddress": "Shop News <news@shop.example.com>",
        "Destination": {"ToAddresses": [f"user{number:09d}@example.org"]},
        "Content": {"Simple": {"Subject": {"Data": "Autumn"}, "Body": body}},
    }


def request(mode: str, number: int) -> bytes:
    body = json.dumps(bulk(number) if mode == "bulk" else single(number)).encode()
    head = (
        f"POST {PATHS[mode]} HTTP/1.1\r\nHost: simulator\r\nAuthorization: {SIGNED}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def post(url: str, requests: Iterator[bytes], until: float) -> int:
    """Post one request after the other; how many were answered."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    answered = 0
    while time.monotonic() < until:
        writer.write(next(requests))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        answered += 1
    writer.close()
    return answered


async def main(url: str, mode: str = "bulk", seconds: str = "5") -> None:
    prepared = [request(mode, number) for number in range(CALLS_PREPARED)]
    requests = itertools.cycle(prepared)
    started = time.monotonic()
    until = started + float(seconds)
    answered = await asyncio.gather(*(post(url, requests, until) for _ in range(CONNECTIONS)))
    calls = sum(answered) / (time.monotonic() - started)
    mails = calls * (50 if mode == "bulk" else 1)
    size = len(prepared[0])
    print(f"{mode}: {mails:,.0f} mails/s, {calls:,.0f} calls/s of {size:,} bytes")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
