"""A key is revoked under 10 campaigns and 1,000 messages, then mended: one command, nobody lost."""

import time

from benchmarks.lab import Lab, lab, report
from benchmarks.watching import pause, until
from postroom.localstack import simulator
from postroom.localstack.stack import Shape
from postroom.model import AccountName, CampaignId, Message, Recipient, SenderName, State

_CAMPAIGNS, _EACH, _MESSAGES = 10, 2_000, 1_000
_ACCOUNT = AccountName("local")


def main() -> None:
    with lab(Shape(workers=2, latency_ms=60)) as room:
        room.run(1_000)  # Warm: connections, compiled templates.
        before = simulator.stats(room.stack.ses_url)["accepted"]
        campaigns = [room.submit(_EACH, name=f"campaign {n}") for n in range(_CAMPAIGNS)]
        until(lambda: simulator.stats(room.stack.ses_url)["accepted"] > before, "under way")
        _allow(room, ["somebody-else"])
        messages = [_message(room, number) for number in range(_MESSAGES)]
        until(lambda: room.postroom.account(_ACCOUNT).halted, "the account is halted")
        pause(5.0)  # Whoever is to meet the halt, has.
        halted = sum(_state(room, one) is State.HALTED for one in campaigns + messages)
        commands = {one.command for one in room.postroom.examine() if "resume" in one.command}
        _allow(room, [])
        began = time.time()
        room.postroom.resume_account(_ACCOUNT)
        for one in campaigns + messages:
            until(lambda one=one: _state(room, one) is State.FINISHED, "finished", seconds=120)
        stats = simulator.stats(room.stack.ses_url)
        report(
            "revoked_key",
            halted_one_by_one=halted,
            commands=len(commands),
            lost=before + _CAMPAIGNS * _EACH + _MESSAGES - stats["accepted"],
            twice=stats["duplicates"]["extra"],
            seconds_after_resume=stats["last_accepted_at"] - began,
        )


def _message(room: Lab, number: int) -> CampaignId:
    message = Message(subject="Your receipt", text="Thank you")
    return room.postroom.send(
        SenderName("news"), message, Recipient(f"buyer{number}@example.org")
    ).id


def _state(room: Lab, campaign_id: CampaignId) -> State:
    return room.postroom.status(campaign_id).state


def _allow(room: Lab, keys: list[str]) -> None:
    """Let the local SES take these access keys only; none: any."""
    room.ask_ses("POST", "settings", {"access_keys": keys})


if __name__ == "__main__":
    main()
