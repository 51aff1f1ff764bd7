"""Many accounts of few mails a second: 10 and 100 at 14/s, 1,000 at 1/s, two workers, 40 ms a call.

A hundred access keys in as many Regions as it takes: accounts that share credentials are as
common as others. Judged after the first minute, in which everybody is read and warmed up.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.lab import Lab, lab, report
from benchmarks.watching import pause
from postroom.localstack import simulator
from postroom.localstack.stack import Shape
from postroom.model import SenderName

_ROWS = ((10, 14.0), (100, 14.0), (1_000, 1.0))
_RAMP_SECONDS = 60
_MEASURED_SECONDS = 30
_KEYS = 100
_OURS = ("client", "producer", "worker", "redis")


def main() -> None:
    for accounts, rate in _ROWS:
        measure(accounts, rate)


def measure(
    accounts: int,
    rate: float,
    *,
    ramp_seconds: int = _RAMP_SECONDS,
    measured_seconds: int = _MEASURED_SECONDS,
) -> None:
    """Send on all accounts at once, each at its rate; print what part of it they reach."""
    shape = Shape(workers=2, rate=rate, latency_ms=40, simulator_options=("--account-per-key",))
    with TemporaryDirectory(prefix="postroom-keys-") as folder:
        keys = Path(folder) / "credentials"
        keys.write_text("".join(map(_profile, range(_KEYS))))
        with lab(
            shape,
            account="".join(map(_account, range(accounts))),
            AWS_SHARED_CREDENTIALS_FILE=str(keys),
        ) as room:
            figures = _run(room, accounts, rate, ramp_seconds, measured_seconds)
    report("many_accounts", accounts=accounts, rate_each=rate, **figures)


def _run(
    room: Lab, accounts: int, rate: float, ramp_seconds: int, measured_seconds: int
) -> dict[str, object]:
    each = int(rate * (ramp_seconds + measured_seconds) * 1.2) + 1
    submitting = time.monotonic()
    ids = [room.submit(each, sender=SenderName(f"s{number}")) for number in range(accounts)]
    submitted = time.monotonic() - submitting
    began = simulator.stats(room.stack.ses_url)
    pause(ramp_seconds)
    before, spent_before = simulator.stats(room.stack.ses_url), room.cpu()
    pause(measured_seconds)
    after, spent_after = simulator.stats(room.stack.ses_url), room.cpu()
    room.stack.check()
    accepted = after["accepted"] - before["accepted"]
    seconds = after["now"] - before["now"]
    shares = sorted(
        (after["accepted_per_campaign"].get(one, 0) - before["accepted_per_campaign"].get(one, 0))
        / (rate * seconds)
        for one in ids
    )
    cpu = {
        f"{kind}_cpu_us_per_mail": (spent_after[kind] - spent_before[kind]) / max(1, accepted) * 1e6
        for kind in _OURS
    }
    return {
        "share": accepted / (accounts * rate * seconds),
        "share_of_slowest": shares[0],
        "share_in_first_minute": (before["accepted"] - began["accepted"])
        / (accounts * rate * (before["now"] - began["now"])),
        "submit_seconds": submitted,
        "cpu_us_per_mail": sum(cpu.values()),
        **cpu,
        "mails_per_call": accepted / max(1, _calls(after) - _calls(before)),
        "throttled": after["throttled"],
        "duplicates": after["duplicates"]["extra"],
    }


def _calls(stats: dict[str, dict[str, int]]) -> int:
    return sum(stats["calls"].get(name, 0) for name in ("SendEmail", "SendBulkEmail"))


def _profile(number: int) -> str:
    return f"[key{number}]\naws_access_key_id = AKIA{number:04}\naws_secret_access_key = secret\n"


def _account(number: int) -> str:
    return (
        f"[accounts.a{number}]\nregion = 'eu-west-{1 + number // _KEYS}'\n"
        f"profile = 'key{number % _KEYS}'\n"
        f"[senders.s{number}]\naccount = 'a{number}'\nfrom = 'news@shop.example.com'\n"
    )


if __name__ == "__main__":
    main()
