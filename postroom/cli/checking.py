"""`postroom check`: all that can be known before anything is sent."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Final, NamedTuple, Protocol

import typer
from rich.table import Table
from rich.text import Text

from postroom import campaign_file, clock, settings
from postroom.cli import listing, rows
from postroom.cli.console import AsJson, say, say_json, tables
from postroom.cli.listing import row_record
from postroom.cli.submitting import CampaignFile, EmailColumn, fault_in
from postroom.cli.wording import count, many, moment, printable, rate, span
from postroom.content import checks
from postroom.content.advice import advice_on
from postroom.estimate import time_needed
from postroom.intake.look import NOTED_ROWS, Looked
from postroom.model import Campaign
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.sender_registry import SenderRegistry

_MARKS: Final = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}
_SHOWN_ROWS: Final = 10


class Found(Protocol):
    """What `worker.preflight` says of one thing."""

    @property
    def level(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def detail(self) -> str: ...


class Preflight(Protocol):
    """What `worker.preflight` says of a sender; limits are recipients, None is unknown."""

    @property
    def findings(self) -> Sequence[Found]: ...
    @property
    def rate(self) -> float | None: ...
    @property
    def quota(self) -> float | None: ...
    @property
    def sent(self) -> float | None: ...


class CheckLine(NamedTuple):
    level: str
    what: str
    detail: str


class Checked(NamedTuple):
    """Everything found, and how long the campaign takes where that can be told."""

    findings: tuple[CheckLine, ...]
    looked: Looked | None
    seconds: float | None

    @property
    def good(self) -> bool:
        return all(one.level != "problem" for one in self.findings)

    @property
    def recipients(self) -> int | None:
        return None if self.looked is None else self.looked.good


def check(
    campaign: CampaignFile,
    recipients_file: Annotated[
        str | None,
        typer.Option("--recipients", "-r", metavar="FILE|-", help="CSV or JSON Lines."),
    ] = None,
    bad_rows: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all bad rows there, as CSV.")
    ] = None,
    email_column: EmailColumn = None,
    *,
    strict: Annotated[
        bool, typer.Option("--strict", help="One bad row is a problem; names all of them.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Check all that submit checks, every row, the account, the identity and the quota.

    Sends nothing.
    """
    loaded = settings.load()
    read = campaign_file.read(campaign)
    findings = [CheckLine("ok", "campaign", "templates, headers, tags and times are sound")]
    looked = None
    with fault_in(campaign, str(recipients_file)):
        checks.check(read, senders=_senders(loaded))
        findings += [CheckLine("warning", one.what, one.detail) for one in advice_on(read)]
        if recipients_file is not None:
            with rows.opened(recipients_file) as raw:
                looked, found = listing.look_at(
                    raw, read, loaded, email=email_column, bad_rows=bad_rows, strict=strict
                )
            findings += [CheckLine(*one) for one in found]
    checked = _with_account(read, findings, looked, loaded)
    if as_json:
        say_json(_record(checked))
    else:
        _show(checked, most=NOTED_ROWS if strict else _SHOWN_ROWS)
    return 0 if checked.good else 1


def _senders(loaded: Settings) -> Collection[str]:
    if loaded.senders:
        return loaded.senders
    with closing(Store(loaded.redis)) as store:
        return SenderRegistry(store).senders()


def _with_account(
    campaign: Campaign, findings: list[CheckLine], looked: Looked | None, loaded: Settings
) -> Checked:
    findings = [*findings, *_about_begin(campaign)]
    asked = _asked_ses(loaded, campaign.sender)
    if asked is None:
        detail = "not asked: the code of the worker is not installed here"
        return Checked((*findings, CheckLine("unknown", "account", detail)), looked, None)
    findings += [CheckLine(str(one.level), one.what, one.detail) for one in asked.findings]
    limits, seconds = _limits(asked, None if looked is None else looked.good)
    return Checked((*findings, *limits, *_about_end(campaign, seconds)), looked, seconds)


def _about_begin(campaign: Campaign) -> Iterator[CheckLine]:
    if campaign.send_at is not None and (begin := campaign.send_at.timestamp()) > clock.now():
        yield CheckLine("ok", "send_at", f"starts at {moment(begin)}")


def _about_end(campaign: Campaign, seconds: float | None) -> Iterator[CheckLine]:
    """What of a campaign expires: a warning, for its author may want just that."""
    if campaign.not_after is None:
        return
    end, now = campaign.not_after.timestamp(), clock.now()
    begin = max(now, campaign.send_at.timestamp() if campaign.send_at else now)
    if end <= now:
        yield CheckLine("problem", "not_after", f"{moment(end)} is past: all of it would expire")
    elif seconds is not None and begin + seconds > end:
        left = f"it ends after {span(end - begin)}, at {moment(end)}; the rest expires"
        yield CheckLine("warning", "not_after", left)


def _asked_ses(loaded: Settings, sender: str) -> Preflight | None:
    """Ask SES through the worker's own code, where it is installed: never imported from here."""
    try:
        preflight: Callable[[Settings, str], Preflight] = resolve_name("worker.preflight:preflight")
    except ModuleNotFoundError:
        return None
    return preflight(loaded, sender)


def _limits(asked: Preflight, number: int | None) -> tuple[list[CheckLine], float | None]:
    if not asked.rate or asked.quota is None:
        return [], None
    sent = asked.sent or 0.0
    room = max(0.0, asked.quota - sent)
    unlimited = asked.quota == float("inf")
    left = "unlimited" if unlimited else f"{count(room)} of {count(asked.quota)} left"
    level = "ok" if room >= 1 else "warning"
    findings = [CheckLine("ok", "rate", rate(asked.rate)), CheckLine(level, "quota", left)]
    if number is None:
        return findings, None
    seconds = time_needed(number, per_second=asked.rate, quota=asked.quota, sent=sent)
    return findings, seconds


def _show(checked: Checked, *, most: int) -> None:
    out = tables()
    grid = Table.grid(padding=(0, 2))
    width = max(len(one.what) for one in checked.findings)
    for one in checked.findings:
        mark, style = _MARKS.get(one.level, ("?", "dim"))
        if out.is_terminal:
            grid.add_row(Text(mark, style=style), one.what, printable(one.detail))
        else:
            say(f"{mark}  {one.what:<{width}}  {printable(one.detail)}")
    if out.is_terminal:
        out.print(grid)
    if checked.looked is not None:
        _show_rows(checked.looked, most)
    if checked.seconds is not None and checked.recipients:
        people = many(checked.recipients, "recipient")
        out.print(f"\nTo send to {people} takes about {span(checked.seconds)}.")
    if not checked.good:
        out.print("\nDo not send yet: ✗ says what is wrong.", style="bold red")
    elif any(one.level == "unknown" for one in checked.findings):
        out.print("\nNot all could be checked: ? says what.", style="yellow")


def _show_rows(looked: Looked, most: int) -> None:
    shown = looked.noted[:most]
    if shown:
        say("")
    for bad in shown:
        say(f"row {bad.row}: {printable(bad.reason)}")
    if (more := looked.invalid + looked.duplicate - len(shown)) > 0:
        say(f"and {count(more)} more: --bad-rows FILE writes all of them")


def _record(checked: Checked) -> dict[str, object]:
    looked = checked.looked
    return {
        "good": checked.good,
        "findings": [one._asdict() for one in checked.findings],
        "recipients": checked.recipients,
        "invalid": looked and looked.invalid,
        "duplicate": looked and looked.duplicate,
        "suppressed": looked and looked.suppressed,
        "bad_rows": [row_record(bad) for bad in looked.noted] if looked else [],
        "seconds": checked.seconds,
    }
