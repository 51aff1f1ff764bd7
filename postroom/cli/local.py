"""`postroom up` and `postroom demo`: everything on this machine, no AWS, nothing left running."""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from types import FrameType
from typing import Annotated, Any, Final
from uuid import uuid4

import typer
from rich.console import Console

from postroom import clock, settings
from postroom.cli import view
from postroom.cli.console import AsJson, notes, say_json, tables
from postroom.cli.following import follow
from postroom.cli.session import opened
from postroom.cli.submitting import handed_in
from postroom.cli.wording import count, many, printable
from postroom.errors import BadInputError, PostroomError
from postroom.localstack import simulator
from postroom.localstack.stack import LocalStack, Shape, checkout
from postroom.localstack.supervisor import Supervisor
from postroom.model import State, Status
from postroom.redis_url import without_password
from postroom.views.records import status_record

_LOOK_SECONDS: Final = 0.5
_MAIL_LINES: Final = 12
_EXAMPLE: Final = Path("examples/welcome")
_DEMO: Final = Shape(rate=25, quota=50_000, latency_ms=60)
"""Slow enough to watch."""
_SES: Final = "AWS_ENDPOINT_URL_SESV2"
_OF_SES: Final = ("AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class DemoError(PostroomError):
    """The demo did not end as it must: the text says what does not add up."""


def up(
    workers: Annotated[int, typer.Option(min=0, help="Worker processes.")] = 1,
    producers: Annotated[int, typer.Option(min=0, help="Producer processes.")] = 1,
    rate: Annotated[float, typer.Option(help="Recipients a second; 0: unlimited.")] = 50,
    quota: Annotated[int, typer.Option(help="Recipients in 24 hours; -1: unlimited.")] = 50_000,
    latency_ms: Annotated[float, typer.Option(help="How long the SES takes to answer.")] = 60,
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the data for the next time, and begin with it.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="Where --keep has it; else .postroom/ of the checkout.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Run a local stack until Ctrl-C: Redis, an SES, producers and workers.

    What dies is said and replaced. Should the stack end badly, its logs stay.
    """
    shape = Shape(
        workers=workers, producers=producers, rate=rate, quota=quota, latency_ms=latency_ms
    )
    console = notes()
    with _stopping():
        kept = _kept_data(data) if keep else None
        stack = LocalStack(shape, data=kept)
        console.print(_starting(stack, shape))
        with stack:
            _tell(stack, as_json=as_json)
            if kept:
                console.print(f"The data stays for the next `--keep`, in {kept}.")
            _watch_over(stack, console)
    console.print("Nothing is left running.")
    return 0


def _watch_over(stack: LocalStack, console: Console) -> None:
    """Return at Ctrl-C. Who died meanwhile and could not be replaced leaves the logs behind."""
    supervisor = Supervisor(stack, lambda line: console.print(printable(line)))
    try:
        while True:
            supervisor.look()
            clock.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        console.print("\nstopping: workers settle what they hold ...")
    if dead := stack.died():
        stack.keep_logs()
        names = ", ".join(program.name for program in dead)
        console.print(f"{names} had died; the logs stay in {stack.folder}")


def _kept_data(chosen: Path | None) -> Path:
    """Where `--keep` keeps the data. Raises `BadInputError`."""
    if settings.environment().get("POSTROOM_REDIS_URL"):
        raise BadInputError("--keep is for the stack's own Redis; POSTROOM_REDIS_URL is set")
    return (chosen or checkout() / ".postroom").absolute()


def demo(*, as_json: AsJson = False) -> None:
    """Send a sample campaign through a local stack, and check that the books balance."""
    console = notes()
    environ = settings.environment()
    environ.pop("POSTROOM_CONFIG", None)
    # On a Redis that was given, the workers of others must not take the sample.
    environ["POSTROOM_REDIS__PREFIX"] = f"postroom-demo-{uuid4().hex[:8]}:"
    with _stopping():
        stack = LocalStack(_DEMO, environ=environ)
        console.print(_starting(stack, _DEMO))
        with stack:
            console.print(f"Redis  {without_password(stack.redis_url)}\nSES    {stack.ses_url}\n")
            ended = _send_the_sample(stack)
            taken = _check_books(ended, stack)
            mail = simulator.last_mail(stack.ses_url) if stack.own_ses else {}
    if as_json:
        say_json({"status": status_record(ended), "ses": taken, "mail": mail})
    else:
        _sum_up(ended, taken, mail)


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


def _sum_up(ended: Status, taken: dict[str, int], mail: Mapping[str, Any]) -> None:
    sys.stdout.flush()
    out = tables()
    out.print()
    if mail:
        out.print("One of the mails, as its reader sees it:\n")
        out.print(_quoted(mail))
        out.print()
    out.print(view.books(ended.totals))
    law = "The books balance: everybody is in exactly one state"
    if taken:
        law += f", and the SES counts {taken['accepted']} mails and no duplicate"
    out.print(
        f"\nA list of {count(ended.totals.total)} people and a template became "
        f"{many(ended.totals.accepted, 'mail')}, at the rate that the SES allowed.\n{law}.\n"
        "The SES was a local one: nothing went out. Nothing is left running."
    )
    out.print(
        "\nNext:\n"
        "  .venv/bin/postroom up        a stack that stays; its SES shows the mails in a browser\n"
        "  .venv/bin/postroom --help    submit, watch, pause, resume, report, check, ...\n"
        "  examples/welcome/            the campaign that was sent\n"
        "  README.md                    sending for real, from your own service"
    )


def _quoted(mail: Mapping[str, Any]) -> str:
    """A mail in a few lines, its text set in."""
    head = {"From": mail["from"], "To": ", ".join(mail["to"]), "Subject": mail["subject"]}
    lines = [f"{name}: {value}" for name, value in head.items()]
    lines += ["", *(mail["text"] or "").strip().splitlines()[:_MAIL_LINES]]
    return "\n".join(f"  | {printable(line)}".rstrip() for line in lines)


def _starting(stack: LocalStack, shape: Shape) -> str:
    parts = ["Redis"] if stack.own_redis else []
    parts += ["a local SES"] if stack.own_ses else []
    parts += [many(shape.producers, "producer")] if shape.producers else []
    parts += [many(shape.workers, "worker")] if shape.workers else []
    return f"starting {', '.join(parts[:-1])} and {parts[-1]} ..." if parts[1:] else "starting ..."


def _tell(stack: LocalStack, *, as_json: bool) -> None:
    given = _to_reach(stack)
    if as_json:
        say_json(given)
        return
    sample = checkout() / _EXAMPLE
    console = notes()
    console.print(f"\nRedis  {without_password(stack.redis_url)}")
    console.print(f"SES    {stack.ses_url}{'   the last mails, in a browser' * stack.own_ses}")
    console.print(f"logs   {stack.folder}\n\nIn another terminal:")
    console.print(f"  . {_written(given, stack.folder)}", style="bold")
    console.print(f"  cd {quote(str(sample))}", style="bold")
    console.print(
        "  postroom submit campaign.toml --recipients recipients.csv --wait", style="bold"
    )
    if not stack.own_redis:
        console.print("with POSTROOM_REDIS_URL as it is in this one")
    console.print("\nCtrl-C stops it all.")


def _written(given: Mapping[str, str], folder: Path) -> Path:
    """Write what another terminal takes over, with the `postroom` of this checkout."""
    lines = [f"export {name}={quote(value)}" for name, value in given.items()]
    lines.append(f'export PATH={quote(str(Path(sys.executable).parent))}:"$PATH"')
    file = folder / "env"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _to_reach(stack: LocalStack) -> dict[str, str]:
    """What a command needs to reach the stack: no key that was given to us."""
    before = settings.environment()
    made = (name for name in _OF_SES if stack.environ.get(name) != before.get(name))
    names = ["POSTROOM_CONFIG"]
    names += ["POSTROOM_REDIS_URL"] if stack.own_redis else []
    return {name: stack.environ[name] for name in (*names, _SES, *made)}


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
