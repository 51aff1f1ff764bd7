"""What was accepted: who, how often, how fast; and the last mails whole.

Bookkeeping a recipient is one dictionary slot; bodies are kept by reference to the request they
came in and only for the last mails, so a million recipients fit in memory.
"""

from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from simulator.message import Call, Entry
from simulator.meters import Window

_SECONDS_KEPT: Final = 3600
_CHUNK: Final = 5000


class Mail(NamedTuple):
    """One accepted message, unrendered."""

    call: Call
    entry: Entry
    message_id: str
    at: float
    campaign: str
    suppressed: tuple[str, ...]


class Mailbox:
    """Every acceptance since the start. Times are Unix seconds."""

    def __init__(self, mails_kept: int) -> None:
        self.mails: deque[Mail] = deque(maxlen=mails_kept)
        self.accepted = 0
        self.accepted_by: Counter[str] = Counter()
        self.campaigns: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.suppressed = 0
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.duplicate_recipients = 0
        self.extra_acceptances = 0
        self._second = Window(1.0)
        self._by_campaign: dict[str, dict[str, int]] = {}
        self._series: deque[tuple[int, int]] = deque(maxlen=_SECONDS_KEPT)

    def accept(self, mail: Mail, addresses: tuple[str, ...]) -> None:
        """Record one message to `addresses`, which are bare."""
        self.mails.append(mail)
        count, at = len(addresses), mail.at
        self.accepted += count
        self.accepted_by[mail.call.operation] += count
        self.campaigns[mail.campaign] += count
        self.suppressed += len(mail.suppressed)
        self.first_at = at if self.first_at is None else self.first_at
        self.last_at = at
        self._second.add(count, at)
        self._count_second(int(at), count)
        times = self._by_campaign.get(mail.campaign)
        if times is None:
            times = self._by_campaign[mail.campaign] = {}
        for address in addresses:
            times[address] = now = times.get(address, 0) + 1
            if now > 1:
                self.extra_acceptances += 1
                self.duplicate_recipients += now == 2

    def refuse(self, status: str, recipients: int) -> None:
        self.refused[str(status)] += recipients  # a plain key, for JSON

    @property
    def distinct(self) -> int:
        """Pairs of campaign and address that were accepted at least once."""
        return sum(map(len, self._by_campaign.values()))

    @property
    def busiest_second(self) -> int:
        """The most that was accepted within any second, wherever it starts."""
        return self._second.peak

    def per_second(self, last: int) -> list[tuple[int, int]]:
        """Accepted in each of the last aligned Unix seconds in which anything was."""
        return list(self._series)[-last:] if last else []

    def newest(self, limit: int, *, address: str = "", campaign: str = "") -> list[Mail]:
        wanted = (
            mail
            for mail in reversed(self.mails)
            if (not campaign or mail.campaign == campaign)
            and (not address or any(address in one for one in mail.entry.recipients))
        )
        return list(islice(wanted, limit))

    def counts(self, campaign: str | None) -> Iterator[list[tuple[str, str, int]]]:
        """(campaign, address, times accepted) in chunks; safe while acceptances go on."""
        names = list(self._by_campaign) if campaign is None else [campaign]
        for name in names:
            times = self._by_campaign.get(name, {})
            addresses = list(times)
            for start in range(0, len(addresses), _CHUNK):
                yield [(name, one, times[one]) for one in addresses[start : start + _CHUNK]]

    def _count_second(self, second: int, count: int) -> None:
        if self._series and self._series[-1][0] == second:
            self._series[-1] = (second, self._series[-1][1] + count)
        else:
            self._series.append((second, count))
