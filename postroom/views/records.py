"""What the outside sees of our values, as plain records for JSON: `status --json` and the like."""

from postroom import clock
from postroom.dispatch.accounts import AccountStatus
from postroom.model import Status
from postroom.store.event_log import LogEntry
from postroom.views.processes import Process

Record = dict[str, str | int | float | None]


def status_record(status: Status) -> Record:
    """Return the keys of `status --json` in their order. Times are RFC 3339 in UTC."""
    books = status.totals
    return {
        "id": status.id,
        "name": status.name,
        "state": status.state.value,
        "reason": status.reason,
        "warning": status.warning,
        "total": books.total,
        "pending": books.pending,
        "sending": books.sending,
        "accepted": books.accepted,
        "rejected": books.rejected,
        "suppressed": books.suppressed,
        "ambiguous": books.ambiguous,
        "cancelled": books.cancelled,
        "expired": books.expired,
        "invalid": books.invalid,
        "duplicate": books.duplicate,
        "delivered": books.delivered,
        "bounced": books.bounced,
        "complained": books.complained,
        "achieved_rate": round(status.achieved_rate, 2),
        "allowed_rate": _rounded(status.allowed_rate),
        "eta_seconds": _rounded(status.eta_seconds),
        "started_at": _time(status.started_at),
        "finished_at": _time(status.finished_at),
        "key": status.key,
        "created_at": _time(status.created_at),
    }


def account_record(account: AccountStatus) -> dict[str, object]:
    """Return the keys of `account --json` in their order."""
    return {
        "name": account.name,
        "halted": account.halted,
        "paused": account.paused,
        "rate": _rounded(account.rate),
        "max_send_rate": _rounded(account.max_send_rate),
        "quota": account.quota,
        "used": account.used,
        "foreign": account.foreign,
        "throttled": account.throttled,
        "burst_seconds": _rounded(account.burst_seconds, 3),
        "holds": [
            {"lane": one.lane.value, "reason": one.reason, "until": _time(one.until)}
            for one in account.holds
        ],
        "waiting": account.waiting,
        "workers": account.workers,
        "shares_with": list(account.shares_with),
        "troubles": [
            {"worker": one.worker, "sender": one.sender, "reason": one.reason}
            for one in account.troubles
        ],
    }


def log_record(entry: LogEntry) -> Record:
    """Return the keys of an entry of `log --json` in their order."""
    return {
        "at": _time(entry.at),
        "last_at": _time(entry.last_at),
        "count": entry.count,
        "event": entry.event,
        "by": entry.by,
        "detail": entry.detail,
        "account": entry.account,
    }


def process_record(process: Process) -> dict[str, object]:
    """Return the keys of `ps --json` in their order."""
    host, _, pid = process.name.rpartition(":")
    about = process.about
    return {
        "kind": process.kind,
        "host": host,
        "pid": int(pid) if pid.isdigit() else None,
        "version": about.version,
        "started_at": _time(about.started_at or None),
        "slots": about.slots,
        "busy": about.busy,
        "settings": about.settings,
        "troubles": list(process.troubles),
    }


def _rounded(number: float | None, digits: int = 2) -> float | None:
    return None if number is None else round(number, digits)


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return clock.utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
