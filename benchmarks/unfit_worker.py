"""One of three workers has no credentials: nothing halts, and the others lose no pace by it."""

from benchmarks.lab import lab, report
from benchmarks.watching import pause
from postroom.localstack import simulator
from postroom.localstack.stack import Shape
from postroom.model import AccountName, State

_RECIPIENTS = 30_000
_SLOTS = 4
_NO_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "AWS_CONFIG_FILE": "/nowhere",
}


def main() -> None:
    alone, _ = _measure(({}, {}))
    beside, found = _measure((_NO_CREDENTIALS, {}, {}))
    report(
        "unfit_worker",
        mails_per_second=beside,
        mails_per_second_of_two_alone=alone,
        share=beside / alone,
        **found,
    )


def _measure(workers: tuple[dict[str, str], ...]) -> tuple[float, dict[str, object]]:
    """Return mails a second, and what is seen of the trouble."""
    # Few slots and slow calls: two workers are far from all that this machine can do.
    shape = Shape(workers=0, latency_ms=400)
    with lab(shape, POSTROOM_WORKER__SLOTS=str(_SLOTS)) as room:
        programs = [room.start_worker(environ) for environ in workers]
        room.stack.wait_for_workers()
        campaign_id = room.submit(_RECIPIENTS, batch_size=200)
        reasons = set()
        while room.postroom.status(campaign_id).state not in (State.FINISHED, State.HALTED):
            account = room.postroom.account(AccountName("local"))
            reasons.add(account.halted)
            pause(0.2)
        status = room.wait(campaign_id, 60)
        named = [one.where for one in room.postroom.examine() if "credentials" in one.what]
        stats = simulator.stats(room.stack.ses_url)
        found = {
            "halted": sorted(reasons - {""}),
            "workers_well": account.workers,
            "named_by_doctor": [one.endswith(f":{programs[0].pid}") for one in named],
            "accepted": status.totals.accepted,
            "twice": stats["duplicates"]["extra"],
        }
    return stats["accepted"] / (stats["last_accepted_at"] - stats["first_accepted_at"]), found


if __name__ == "__main__":
    main()
