"""`postroom up` and `postroom demo`: everything on this machine, no AWS, nothing left running."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Final
from uuid import uuid4

import typer

from postroom import clock, settings
from postroom.cli import view
from postroom.cli.console import AsJson, notes, say_json, tables
from postroom.cli.following import follow
from postroom.cli.session import opened, without_password
from postroom.cli.submitting import handed_in
from postroom.errors import PostroomError
from postroom.localstack import simulator
from postroom.localstack.stack import LocalStack, Shape, checkout
from postroom.model import State, Status
from postroom.records import status_record

_LOOK_SECONDS: Final = 0.5
_EXAMPLE: Final = Path("examples/welcome")
_DEMO: Final = Shape(rate=25, quota=50_000, latency_ms=60)
"""Slow enough to watch."""
_OF_SES: Final = (
    *("AWS_ENDPOINT_URL_SESV2", "AWS_DEFAULT_REGION"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
)


class DemoError(PostroomError):
    """The demo did not end as it must: the text says what does not add up."""


def up(
    workers: Annotated[int, typer.Option(min=0, help="Worker processes.")] = 1,
    producers: Annotated[int, typer.Option(min=0, help="Producer processes.")] = 1,
    rate: Annotated[float, typer.Option(help="Recipients a second; 0: unlimited.")] = 50,
    quota: Annotated[int, typer.Option(help="Recipients in 24 hours; -1: unlimited.")] = 50_000,
    latency_ms: Annotated[float, typer.Option(help="How long the SES takes to answer.")] = 60,
    *,
    as_json: AsJson = False,
) -> int:
    """Run a local stack until Ctrl-C: Redis, an SES, producers and workers."""
    shape = Shape(
        workers=workers, producers=producers, rate=rate, quota=quota, latency_ms=latency_ms
    )
    with _stopping(), LocalStack(shape) as stack:
        _tell(stack, as_json=as_json)
        try:
            while True:
                stack.check()
                clock.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            notes().print("\nstopping: workers settle what they hold")
    return 0


def demo(*, as_json: AsJson = False) -> None:
    """Send a sample campaign through a local stack, and check that the books balance."""
    console = notes()
    environ = settings.environment()
    environ.pop("POSTROOM_CONFIG", None)
    # On a Redis that was given, the workers of others must not take the sample.
    environ["POSTROOM_REDIS__PREFIX"] = f"postroom-demo-{uuid4().hex[:8]}:"
    console.print("starting Redis, a local SES, a producer and a worker ...")
    with _stopping(), LocalStack(_DEMO, environ=environ) as stack:
        console.print(f"Redis  {without_password(stack.redis_url)}\nSES    {stack.ses_url}\n")
        ended = _send_the_sample(stack)
        taken = _check_books(ended, stack)
    if as_json:
        say_json({"status": status_record(ended), "ses": taken})
    else:
        _sum_up(ended, taken)


def _send_the_sample(stack: LocalStack) -> Status:
    loaded = settings.load(stack.environ)
    folder = checkout() / _EXAMPLE
    with opened(loaded) as post:
        submission = handed_in(
            post, folder / "campaign.toml", str(folder / "recipients.csv"), key=None, strict=True
        )
        follow(post, submission.id, loaded=loaded, each=stack.check)
        return post.status(submission.id)


def _check_books(ended: Status, stack: LocalStack) -> dict[str, int]:
    """Raise `DemoError` unless everybody is in one state, and SES counts what we count."""
    if ended.state is not State.FINISHED:
        raise DemoError(f"the campaign is {ended.state}: {ended.reason}")
    if not ended.totals.balanced:
        raise DemoError(f"the books do not balance: {ended.totals}")
    if not stack.own_ses:
        return {}
    told = simulator.stats(stack.ses_url)
    taken = {"accepted": told["accepted"], "duplicates": told["duplicates"]["extra"]}
    if taken != {"accepted": ended.totals.accepted, "duplicates": 0}:
        raise DemoError(f"we count {ended.totals.accepted} accepted, the SES {taken}")
    return taken


def _sum_up(ended: Status, taken: dict[str, int]) -> None:
    sys.stdout.flush()
    out = tables()
    out.print()
    out.print(view.books(ended.totals))
    out.print()
    law = "The books balance: everybody is in exactly one state"
    if taken:
        law += f", and the SES counts {taken['accepted']} mails and no duplicate"
    out.print(f"{law}. Nothing is left running.")
    out.print(
        "\nNext:\n"
        "  .venv/bin/postroom up        a stack that stays; its SES shows the mails in a browser\n"
        "  .venv/bin/postroom --help    submit, watch, pause, resume, report, check, ...\n"
        "  examples/welcome/            the campaign that was sent\n"
        "  README.md                    sending for real, from your own service"
    )


def _tell(stack: LocalStack, *, as_json: bool) -> None:
    given = _to_reach(stack)
    if as_json:
        say_json(given)
        return
    console = notes()
    console.print(f"Redis  {without_password(stack.redis_url)}")
    console.print(f"SES    {stack.ses_url}{'  (open it: the last mails)' if stack.own_ses else ''}")
    console.print(f"logs   {stack.folder}\n\nIn another terminal:")
    for name, value in given.items():
        console.print(f"  export {name}={value}")
    console.print(
        "  postroom submit CAMPAIGN.toml --recipients FILE --wait\n\nCtrl-C stops it all."
    )


def _to_reach(stack: LocalStack) -> dict[str, str]:
    """What a command needs to reach the stack: never what was given to us, which is secret."""
    names = ["POSTROOM_CONFIG"]
    names += ["POSTROOM_REDIS_URL"] if stack.own_redis else []
    names += _OF_SES if stack.own_ses else ()
    return {name: stack.environ[name] for name in names}


@contextmanager
def _stopping() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end things as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {one: signal.signal(one, interrupt) for one in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
