"""The quota is spent for a minute: no worker slot is held by the campaigns that wait for it."""

from benchmarks.lab import lab, report
from benchmarks.watching import pause, sampled, until, watch
from postroom.localstack.stack import Shape

_QUOTA = 1_000
_WINDOW_SECONDS = 60
_CAMPAIGNS = 5


def main() -> None:
    shape = Shape(
        workers=2,
        quota=_QUOTA,
        latency_ms=60,
        simulator_options=("--quota-window", str(_WINDOW_SECONDS)),
    )
    account = f"quota_window_seconds = {_WINDOW_SECONDS}"
    with lab(shape, account=account) as room, watch(room) as see:
        ids = [room.submit(2_000, name=f"campaign {number}") for number in range(_CAMPAIGNS)]
        until(lambda: sum(map(see.accepted, ids)) >= 0.9 * _QUOTA, "the quota is spent")
        pause(5)
        with (
            sampled(see.running) as running,
            sampled(see.queued) as queued,
            sampled(lambda: sum(len(see.leases(one)) for one in ids)) as leases,
        ):
            pause(20)
        states = sorted({room.postroom.status(one).state.value for one in ids})
        for one in ids:
            room.postroom.cancel(one)
    report(
        "quota_slots",
        campaigns=_CAMPAIGNS,
        states=states,
        tasks_running_max=max(running),
        leases_held_max=max(leases),
        queued_max=max(queued),
    )


if __name__ == "__main__":
    main()
