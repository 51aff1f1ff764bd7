"""What a worker process decides from its settings alone."""

import msgspec

from postroom import settings
from worker.runtime import longest_wait


def test_a_slot_waits_for_no_account_while_others_miss_it() -> None:
    own = settings.load({"POSTROOM_CONFIG": ""})
    account = settings.Account(region="eu-west-1")
    few = msgspec.structs.replace(own, accounts={"one": account})
    many = {f"account{number}": account for number in range(own.worker.slots + 1)}
    assert longest_wait(few) == own.worker.max_wait_seconds
    assert longest_wait(msgspec.structs.replace(own, accounts=many)) < 0.1
