"""`postroom check`: all that can be known before anything is sent."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Final, NamedTuple, Protocol

import typer
from rich.table import Table
from rich.text import Text

from postroom import campaign_file, checks, clock, recipients, settings, template
from postroom.cli import rows
from postroom.cli.console import AsJson, say, say_json, tables
from postroom.cli.sampling import Sample, sample
from postroom.cli.submitting import CampaignFile, fault_in
from postroom.cli.wording import count, many, moment, printable, rate, span
from postroom.estimate import time_needed
from postroom.model import Campaign
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.directory import Directory

_MARKS: Final = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


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


class Finding(NamedTuple):
    level: str
    what: str
    detail: str


class Checked(NamedTuple):
    """Everything found, and how long the campaign takes where that can be told."""

    findings: tuple[Finding, ...]
    recipients: int | None
    seconds: float | None

    @property
    def good(self) -> bool:
        return all(one.level != "problem" for one in self.findings)


def check(
    campaign: CampaignFile,
    recipients_file: Annotated[
        Path | None, typer.Option("--recipients", "-r", metavar="FILE", help="CSV or JSON Lines.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Check all that submit checks, the account, the identity and the quota. Sends nothing."""
    loaded = settings.load()
    read = campaign_file.read(campaign)
    with fault_in(campaign, str(recipients_file)):
        checks.check(read, senders=_senders(loaded))
        if recipients_file is not None:
            recipients.check_start(rows.start(recipients_file), template.required_fields(read))
        looked = None if recipients_file is None else sample(recipients_file, read)
    number = None if recipients_file is None else rows.counted(recipients_file)
    checked = _checked(read, number, looked, loaded)
    if as_json:
        say_json(_record(checked))
    else:
        _show(checked)
    return 0 if checked.good else 1


def _senders(loaded: Settings) -> Collection[str]:
    if loaded.senders:
        return loaded.senders
    with closing(Store(loaded.redis)) as store:
        return Directory(store).senders()


def _checked(
    campaign: Campaign, number: int | None, looked: Sample | None, loaded: Settings
) -> Checked:
    findings = [Finding("ok", "campaign", "templates, headers, tags and times are sound")]
    if number is not None and looked is not None:
        findings.append(_about_rows(number, looked))
    asked = _asked_ses(loaded, campaign.sender)
    if asked is None:
        detail = "not asked: the code of the worker is not installed here"
        return Checked((*findings, Finding("unknown", "account", detail)), number, None)
    findings += [Finding(str(one.level), one.what, one.detail) for one in asked.findings]
    limits, seconds = _limits(asked, number)
    return Checked((*findings, *limits, *_about_end(campaign, seconds)), number, seconds)


def _about_rows(number: int, looked: Sample) -> Finding:
    if not looked.bad:
        detail = (
            f"{many(number, 'row')}; a mail can be made of each of the first {looked.looked_at}"
        )
        return Finding("ok" if number else "warning", "recipients", detail if number else "none")
    (row, fault), bad = looked.bad[0], len(looked.bad)
    if bad == looked.looked_at:
        detail = f"no mail can be made of any of the first rows; row {row}: {fault}"
        return Finding("problem", "recipients", detail)
    detail = (
        f"no mail can be made of {bad} of the first {looked.looked_at} rows; row {row}: {fault}"
    )
    return Finding("warning", "recipients", detail)


def _about_end(campaign: Campaign, seconds: float | None) -> Iterator[Finding]:
    """What of a campaign expires: a warning, for its author may want just that."""
    if campaign.not_after is None:
        return
    end, now = campaign.not_after.timestamp(), clock.now()
    begin = max(now, campaign.send_at.timestamp() if campaign.send_at else now)
    if end <= now:
        yield Finding("problem", "not_after", f"{moment(end)} is past: all of it would expire")
    elif seconds is not None and begin + seconds > end:
        left = f"it ends after {span(end - begin)}, at {moment(end)}; the rest expires"
        yield Finding("warning", "not_after", left)


def _asked_ses(loaded: Settings, sender: str) -> Preflight | None:
    """Ask SES through the worker's own code, where it is installed: never imported from here."""
    try:
        preflight: Callable[[Settings, str], Preflight] = resolve_name("worker.preflight:preflight")
    except ModuleNotFoundError:
        return None
    return preflight(loaded, sender)


def _limits(asked: Preflight, number: int | None) -> tuple[list[Finding], float | None]:
    if not asked.rate or asked.quota is None:
        return [], None
    sent = asked.sent or 0.0
    unlimited = asked.quota == float("inf")
    left = "unlimited" if unlimited else f"{count(asked.quota - sent)} of {count(asked.quota)} left"
    findings = [Finding("ok", "rate", rate(asked.rate)), Finding("ok", "quota", left)]
    if number is None:
        return findings, None
    seconds = time_needed(number, per_second=asked.rate, quota=asked.quota, sent=sent)
    return findings, seconds


def _show(checked: Checked) -> None:
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
    if checked.seconds is not None and checked.recipients:
        people = many(checked.recipients, "recipient")
        out.print(f"\nTo send to {people} takes about {span(checked.seconds)}.")
    if not checked.good:
        out.print("\nDo not send yet: ✗ says what is wrong.", style="bold red")
    elif any(one.level == "unknown" for one in checked.findings):
        out.print("\nNot all could be checked: ? says what.", style="yellow")


def _record(checked: Checked) -> dict[str, object]:
    return {
        "good": checked.good,
        "findings": [one._asdict() for one in checked.findings],
        "recipients": checked.recipients,
        "seconds": checked.seconds,
    }
