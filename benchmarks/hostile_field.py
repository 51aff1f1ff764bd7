"""A campaign goes on at its pace beside one whose recipients have names made to stop a worker."""

from itertools import pairwise
from typing import NamedTuple

from benchmarks.lab import lab, report
from benchmarks.watching import Watch, until, watch
from postroom.localstack.stack import Shape
from postroom.model import Campaign, CampaignId, Recipient, SenderName

_RATE = 200
_OTHERS = 1_000
_SIZES = (10_000, 100_000, 1_000_000)
_EACH = 4


class Pace(NamedTuple):
    """How the others' mail left, at its worst moment; seconds."""

    late: float
    """Behind what the rate allows from the first one on."""
    gap: float
    """Without any mail of theirs."""


def main() -> None:
    shape = Shape(
        workers=2,
        rate=_RATE,
        latency_ms=60,
        simulator_options=("--burst-seconds", "1", "--mails-kept", "20000"),
    )
    paces = []
    for sizes in ((), _SIZES):
        with lab(shape) as room, watch(room) as see:
            paces.append(_pace(see, hostile=sizes))
    alone, beside = paces
    report(
        "hostile_field",
        rate=_RATE,
        others=_OTHERS,
        names=len(_SIZES) * _EACH,
        characters_max=max(_SIZES),
        late_seconds_max=beside.late,
        late_seconds_max_alone=alone.late,
        gap_seconds_max=beside.gap,
        gap_seconds_max_alone=alone.gap,
    )


def _pace(see: Watch, *, hostile: tuple[int, ...]) -> Pace:
    others = see.room.submit(_OTHERS)
    until(lambda: see.accepted(others) > _OTHERS / 10, "the others' mail flows")
    stopped = _submit(see, hostile) if hostile else None
    see.room.wait(others, 120)
    if stopped is not None:
        see.room.wait(stopped, 120)
    times = sorted(see.times("person").values())
    late = max(at - times[0] - number / _RATE for number, at in enumerate(times))
    return Pace(late, max(after - before for before, after in pairwise(times)))


def _submit(see: Watch, sizes: tuple[int, ...]) -> CampaignId:
    people = [
        Recipient(f"hostile{size}.{number}@example.org", {"name": " " * size + "\u200b"})
        for size in sizes
        for number in range(_EACH)
    ]
    campaign = Campaign(
        name="hostile", sender=SenderName("news"), subject="Hello {{ name }}", text="Hello"
    )
    return see.room.postroom.submit(campaign, people).id


if __name__ == "__main__":
    main()
