"""What goes wrong in a run: drawn from a seed, so that a run can be had again."""

import random
from dataclasses import dataclass

PROCESSES = {
    "kill_worker": 14,
    "roll_worker": 6,
    "roll_all": 1,
    "freeze_worker": 4,
    "kill_producer": 2,
    "kill_redis": 3,
    "freeze_redis": 3,
    "client_kill": 4,
    "client_pause": 3,
    "script_flush": 3,
    "drop_queue": 3,
    "publish_twice": 4,
    "cut_before": 2,
    "cut_after": 3,
    "http_500": 1,
    "http_500_after": 1,
    "hang_before": 1,
    "hang_after": 1,
    "garbage_after": 1,
    "throttle": 2,
    "transient": 2,
}
"""Kind -> how often it is drawn, against the others."""

CHILDREN = {**PROCESSES, "kill_child": 14, "kill_worker": 6}
"""The same for the prefork pool, whose children can be killed one by one."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong; `which` and `amount` (0 to 1) say whom it hits and how hard."""

    kind: str
    which: int
    amount: float


def draw(seed: int, how_many: int, bag: dict[str, int]) -> list[Fault]:
    """Draw faults: each kind at least once where there is room, the others by their weight."""
    luck = random.Random(seed)
    kinds = luck.sample(sorted(bag), min(len(bag), how_many))
    names, weights = zip(*sorted(bag.items()), strict=True)
    kinds += luck.choices(names, weights, k=how_many - len(kinds))
    luck.shuffle(kinds)
    return [Fault(kind, luck.randrange(1000), luck.random()) for kind in kinds]
