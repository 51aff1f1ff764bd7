"""Intake: a CSV file to batches on Redis, through one real producer; memory of every process."""

import random
import re
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import psutil

from benchmarks.lab import Lab, lab, report
from postroom import settings
from postroom.localstack.stack import Shape
from postroom.model import Campaign, CampaignId, SenderName
from postroom.store.connection import Store

_ROWS: Final = 1_000_000
_MANY_ROWS: Final = 5_000_000
_FIRST: Final = (
    *("anna", "ben", "carla", "david", "eva", "frank", "gina", "hugo", "ida", "jan", "karl"),
    *("lena", "max", "nina"),
)
_LAST: Final = (
    *("mueller", "smith", "garcia", "rossi", "novak", "dubois", "jensen", "ivanov", "tanaka"),
    "silva",
)
_AT: Final = ("gmail.com", "yahoo.com", "outlook.com", "gmx.de", "icloud.com", "example.org")


def main() -> None:
    with TemporaryDirectory(prefix="postroom-bench-") as folder:
        path = Path(folder) / "people.csv"
        for rows in (_ROWS, _MANY_ROWS):
            _generate(path, rows)
            with lab(Shape(workers=0, producers=1)) as room:
                _warm(room, Path(folder))
                _measure(room, path, rows)


def _measure(room: Lab, path: Path, rows: int) -> None:
    store = Store(settings.load(room.stack.environ).redis)
    producer = _process("producers.app")
    cpu = _cpu(producer)
    began = time.monotonic()
    with path.open("rb") as raw:
        campaign_id = room.postroom.submit(_campaign(), raw=raw).id
    shipped = time.monotonic()
    _wait_for_split(store, campaign_id)
    ended = time.monotonic()
    spent = _cpu(producer) - cpu
    total = room.postroom.status(campaign_id).totals.total
    if total != rows:
        raise SystemExit(f"{total} recipients of {rows} rows")
    report(
        "intake",
        rows=rows,
        megabytes=path.stat().st_size / 1e6,
        recipients_per_second=rows / (ended - began),
        shipped_per_second=rows / (shipped - began),
        producer_cpu_us_per_recipient=spent / rows * 1e6,
        redis_bytes_per_recipient=_bytes(store, campaign_id) / rows,
        peak_rss_mb={
            "client": _peak(psutil.Process()),
            "producer": _peak(producer),
            "redis": _peak(_process("redis-server")),
        },
    )
    store.close()
    room.postroom.cancel(campaign_id)


def _generate(path: Path, rows: int) -> None:
    """Write rows with short merge fields, as different from each other as real ones."""
    rng = random.Random(rows)
    with path.open("w", encoding="utf-8") as file:
        file.write("email,first_name,customer\n")
        for number in range(rows):
            first, last = rng.choice(_FIRST), rng.choice(_LAST)
            address = f"{first}.{last}{number:x}@{rng.choice(_AT)}"
            file.write(f"{address},{first.title()},{rng.randrange(10**6)}\n")


def _warm(room: Lab, folder: Path) -> None:
    path = folder / "warm.csv"
    _generate(path, 1_000)
    with path.open("rb") as raw:
        campaign_id = room.postroom.submit(_campaign(), raw=raw).id
    _wait_for_split(Store(settings.load(room.stack.environ).redis), campaign_id)


def _campaign() -> Campaign:
    return Campaign(
        name="benchmark", sender=SenderName("news"), subject="Hi {{ first_name }}", text="Hello"
    )


def _wait_for_split(store: Store, campaign_id: CampaignId) -> None:
    key = store.keys.campaign(campaign_id).campaign
    while not store.client.hget(key, "split"):
        time.sleep(0.02)  # noqa: TID251 - a benchmark's own pace


def _bytes(store: Store, campaign_id: CampaignId) -> int:
    keys = store.keys.campaign(campaign_id)
    found = (
        store.client.memory_usage(key, samples=0) for key in (keys.batches, keys.ledger, keys.due)
    )
    return sum(size or 0 for size in found)


def _process(word: str) -> psutil.Process:
    children = psutil.Process().children(recursive=True)
    return next(child for child in children if word in " ".join(child.cmdline()))


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _peak(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return round(int(found[1]) / 1024, 1) if found else 0.0


if __name__ == "__main__":
    main()
