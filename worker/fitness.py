"""What keeps this one process from sending: trouble of its host or its settings.

No credentials, a clock that is off, a sender that was added to other workers' settings first: it
is no fault of the account, and others may be well. So this process leaves the account to them
and tries again from time to time; somebody may mend its host while it runs.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from postroom.clock import Clock
from postroom.model import AccountName, SenderName
from postroom.store.presence import RunningWorker, Trouble

_FIRST_RETRY_SECONDS: Final = 5.0
_LONGEST_RETRY_SECONDS: Final = 60.0
_FORGET_SECONDS: Final = 2 * _LONGEST_RETRY_SECONDS
"""Trouble that comes again within this time was never gone; and a sender that no batch asked
for in so long ails nobody."""

_Subject = tuple[AccountName, SenderName | None]


@dataclass(slots=True)
class _Ailing:
    reason: str
    since: float
    last: float
    retry_at: float
    retries: int = 0
    mended: bool = False


class Fitness:
    """What this process can send; its threads share it."""

    def __init__(
        self,
        clock: Clock,
        worker: str,
        accounts: Collection[AccountName],
        *,
        there: Callable[[], Sequence[RunningWorker]],
        agree_seconds: float,
    ) -> None:
        """`accounts` are those of its settings, `there` asks which workers are there now."""
        self.accounts: Final = frozenset(accounts)
        self._clock: Final = clock
        self._worker: Final = worker
        self._there: Final = there
        self._agree: Final = agree_seconds
        self._lock: Final = threading.Lock()
        self._ailing: Final[dict[_Subject, _Ailing]] = {}

    def serves(self, account: AccountName, sender: SenderName | None = None) -> bool:
        """Whether this process knows of nothing that keeps it from sending."""
        return account in self.accounts and not any(
            self._current(subject) for subject in {(account, None), (account, sender)}
        )

    def serving(self) -> frozenset[AccountName]:
        """Return the accounts that it knows of no trouble with; n is those with some."""
        return self.accounts - set(self._ailing_accounts())

    def fails(self, account: AccountName, reason: str, sender: SenderName | None = None) -> bool:
        """Note that something of this host or its settings kept it from sending.

        Returns whether that is new. `sender` is a sender's name, or with the mark that a
        campaign is bound to, where it is known by another meaning only.
        """
        now = self._clock()
        with self._lock:
            one = self._ailing.get((account, sender))
            new = one is None or now - one.last > _FORGET_SECONDS
            if one is None or new:
                one = _Ailing(reason, now, now, now + _FIRST_RETRY_SECONDS)
                self._ailing[account, sender] = one
            elif one.mended:
                one.retry_at = now + self._backoff(one)
            one.reason, one.last, one.mended = reason, now, False
            return new

    def mended(self, account: AccountName) -> None:
        """The account answered this process: what kept it from sending is gone."""
        with self._lock:
            if one := self._ailing.get((account, None)):
                one.mended = True

    def retry(self, account: AccountName) -> bool:
        """Whether it is time to try an account again; the next time is later."""
        with self._lock:
            one = self._ailing.get((account, None))
            if one is None or one.mended or self._clock() < one.retry_at:
                return False
            one.retry_at = self._clock() + self._backoff(one)
            return True

    def retries(self, *, at_most: int) -> list[AccountName]:
        """Return accounts that it is time to try again; their next time is later.

        n is the accounts that ail.
        """
        return list(islice(filter(self.retry, self._ailing_accounts()), at_most))

    def reason(self, account: AccountName) -> str:
        """Tell what keeps this process from an account; empty when nothing does."""
        if account not in self.accounts:
            return f"the worker's settings have no account {account!r}"
        one = self._current((account, None))
        return one.reason if one else ""

    def troubles(self) -> list[Trouble]:
        """Return what keeps this process from sending, for others to read."""
        now = self._clock()
        with self._lock:
            subjects = list(self._ailing)
        return [
            Trouble(
                worker=self._worker,
                account=account,
                sender=sender,
                reason=one.reason,
                seconds=now - one.since,
            )
            for account, sender in subjects
            if (one := self._current((account, sender)))
        ]

    def nobody_can(self, account: AccountName, sender: SenderName | None = None) -> bool:
        """Whether every worker with this account in its settings has long had this trouble.

        n is the worker processes; asks Redis only once this process has had it for as long.
        Raises `StoreUnavailableError`.
        """
        own = self._current((account, sender))
        if own is None or self._clock() - own.since < self._agree:
            return False
        ails = [one.ails(account, sender) for one in self._there() if account in one.accounts]
        return bool(ails) and all(one and one.seconds >= self._agree for one in ails)

    def _ailing_accounts(self) -> list[AccountName]:
        with self._lock:
            known = [account for account, sender in self._ailing if sender is None]
        return [one for one in known if self._current((one, None))]

    def _current(self, subject: _Subject) -> _Ailing | None:
        one = self._ailing.get(subject)
        if one is None or one.mended:
            return None
        if subject[1] is not None and self._clock() - one.last > _FORGET_SECONDS:
            return None
        return one

    def _backoff(self, one: _Ailing) -> float:
        one.retries += 1
        return min(_LONGEST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2.0 ** min(one.retries, 6))
