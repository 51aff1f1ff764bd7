"""Everything the simulated account holds; `reset` makes a new one."""

import random
import time
import uuid
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from simulator.account import Account
from simulator.call_log import CallLog
from simulator.configuration_sets import ConfigurationSets
from simulator.faults import Fault, Faults
from simulator.identities import Identities
from simulator.latency import Latency
from simulator.mailbox import Mailbox
from simulator.settings import Settings, changed_while_running
from simulator.suppression import SuppressionList

Clock = Callable[[], float]


def unix_clock() -> Clock:
    """Unix seconds that never run backwards, whatever happens to the machine's clock."""
    offset = time.time() - time.monotonic()
    return lambda: time.monotonic() + offset


@dataclass(slots=True)
class World:
    """The parts of one account, or of several, sharing one clock."""

    clock: Clock
    settings: Settings
    account: Account
    """The one of everybody; see `account_of`."""
    mailbox: Mailbox
    identities: Identities
    suppression: SuppressionList
    sets: ConfigurationSets
    faults: Faults
    latency: Latency
    calls: CallLog
    _accounts: dict[Hashable, Account] = field(default_factory=dict)
    _id_stem: str = field(default="")
    _last_id: int = field(default=0)

    def change(self, settings: Settings) -> None:
        """Take over new settings; nothing that happened is forgotten."""
        self.settings = settings
        for account in (self.account, *self._accounts.values()):
            account.change(settings, self.clock())
        self.identities.change(settings)
        self.sets.change(settings)
        self.latency.change(settings)

    def account_of(self, credential: tuple[str, str]) -> Account:
        """Return the account that an access key has in a Region."""
        if not self.settings.account_per_key:
            return self.account
        found = self._accounts.get(credential)
        return found or self._accounts.setdefault(credential, Account(self.settings, self.clock()))

    def set_values(self, **values: object) -> None:
        """Change settings by name. Raises `SettingError`."""
        self.change(changed_while_running(self.settings, values))

    def next_message_id(self, now: float) -> str:
        """An id in the shape of SES: Region, milliseconds, a uuid's length, a tail."""
        self._last_id += 1
        return f"0102{int(now * 1000):012x}-{self._id_stem}-{self._last_id:012x}-000000"


def new_world(settings: Settings, faults: Sequence[Fault], clock: Clock) -> World:
    now = clock()
    armed = Faults(settings.seed)
    for fault in faults:
        armed.arm(fault, now)
    return World(
        clock=clock,
        settings=settings,
        account=Account(settings, now),
        mailbox=Mailbox(settings.mails_kept),
        identities=Identities(settings),
        suppression=SuppressionList(),
        sets=ConfigurationSets(settings),
        faults=armed,
        latency=Latency(settings, random.Random(settings.seed)),  # noqa: S311 - repeatable
        calls=CallLog(settings.requests_kept),
        _id_stem=str(uuid.uuid4()).rpartition("-")[0],
    )
