"""How long a killed worker's batches lie still, read off the leases."""

from dataclasses import dataclass, field

import redis

from postroom import clock
from postroom.model import CampaignId
from tests.chaos.rig import Rig


@dataclass(slots=True)
class _Orphans:
    since: float
    fences: dict[bytes, bytes]
    """Batch -> fence of the dead worker's lease."""


@dataclass(slots=True)
class Recovery:
    """Told of every kill; `look` finds out which batches go on again."""

    rig: Rig
    campaign_id: CampaignId
    seconds: list[float] = field(default_factory=list)
    """From the kill until the last of its batches was taken by another or settled."""
    ambiguous_before: list[int] = field(default_factory=list)
    _open: list[_Orphans] = field(default_factory=list)

    def killed(self, pids: set[int]) -> None:
        """Note what these processes hold; call it just before they die."""
        try:
            leases = self._leases()
        except redis.RedisError:
            return  # Redis is away as well: nobody can say what they held.
        held = {
            number: fence
            for number, (fence, owner) in leases.items()
            if owner.count(b":") == 2 and int(owner.split(b":")[1]) in pids
        }
        if held:
            self._open.append(_Orphans(clock.now(), held))

    def look(self) -> None:
        if not self._open:
            return
        try:
            leases = self._leases()
        except redis.RedisError:
            return
        for orphans in tuple(self._open):
            for number, fence in tuple(orphans.fences.items()):
                if leases.get(number, (b"", b""))[0] != fence:
                    del orphans.fences[number]
            if not orphans.fences:
                self.seconds.append(clock.now() - orphans.since)
                self._open.remove(orphans)

    @property
    def open(self) -> int:
        return len(self._open)

    def _leases(self) -> dict[bytes, tuple[bytes, bytes]]:
        """Return batch -> fence, owner."""
        key = self.rig.keys.campaign(self.campaign_id).leases
        found = {}
        for number, record in self.rig.client.hgetall(key).items():
            fence, _, owner, *_ = record.split(b"|")
            found[number] = (fence, owner)
        return found
