"""The command against a running local stack: what goes to stdout, and the exit codes."""

import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import postroom
from postroom import settings
from postroom.localstack import simulator
from postroom.localstack.stack import LocalStack, Shape
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
WELCOME = ROOT / "examples" / "welcome"
CLEAN = {
    name: value
    for name, value in settings.environment().items()
    if not name.startswith(("POSTROOM_", "AWS_"))
}
KEYS = (
    "id name state reason warning total pending sending accepted rejected suppressed ambiguous "
    "cancelled expired invalid duplicate delivered bounced complained achieved_rate allowed_rate "
    "eta_seconds started_at finished_at key created_at"
)
ACCOUNT_KEYS = (
    "name halted paused rate max_send_rate quota used foreign throttled burst_seconds holds "
    "waiting workers shares_with troubles"
)
CAMPAIGN = """
name = "Autumn"
sender = "news"
subject = "Hello {{ name }}"
text = "Hello {{ name }}"
"""
LATER = f"send_at = 2040-01-01T00:00:00Z\n{CAMPAIGN}"

Ran = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with LocalStack(Shape(rate=200, quota=100_000, latency_ms=5), environ=CLEAN) as running:
        yield running


def run(stack: LocalStack, *arguments: str, cwd: Path = ROOT, **environ: str) -> Ran:
    return subprocess.run(
        [sys.executable, "-m", "postroom.cli", *arguments],
        cwd=cwd,
        env=stack.environ | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def files(folder: Path, *, people: int, campaign: str = CAMPAIGN) -> tuple[str, str]:
    (folder / "campaign.toml").write_text(campaign, encoding="utf-8")
    rows = "".join(f"person{number}@example.com,P{number}\n" for number in range(people))
    (folder / "people.csv").write_text(f"email,name\n{rows}", encoding="utf-8")
    return str(folder / "campaign.toml"), str(folder / "people.csv")


def submitted(stack: LocalStack, folder: Path, *, people: int, campaign: str = CAMPAIGN) -> str:
    toml, people_csv = files(folder, people=people, campaign=campaign)
    ran = run(stack, "submit", toml, "--recipients", people_csv)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def status(stack: LocalStack, campaign: str) -> dict[str, object]:
    told: dict[str, object] = json.loads(run(stack, "status", campaign, "--json").stdout)
    return told


def one_line(ran: Ran, code: int) -> str:
    """The one line of a command that failed."""
    assert ran.returncode == code, (ran.stdout, ran.stderr)
    assert ran.stderr.startswith("postroom: ")
    assert ran.stderr.count("\n") == 1, ran.stderr
    return ran.stderr


def test_submit_prints_the_id_and_wait_follows_to_the_end(
    stack: LocalStack, tmp_path: Path
) -> None:
    toml, people = files(tmp_path, people=40)
    ran = run(stack, "submit", toml, "--recipients", people, "--wait")
    assert ran.returncode == 0, ran.stderr
    campaign = ran.stdout.strip()
    assert "\n" not in campaign
    assert "finished  40 of 40" in ran.stderr
    assert " ".join(status(stack, campaign)) == KEYS
    assert status(stack, campaign)["accepted"] == 40


def test_a_report_has_everybody_once(stack: LocalStack, tmp_path: Path) -> None:
    toml, people = files(tmp_path, people=30)
    campaign = run(stack, "submit", toml, "-r", people, "--wait").stdout.strip()
    rows = list(csv.DictReader(io.StringIO(run(stack, "report", campaign).stdout)))
    assert [row["address"] for row in rows] == [f"person{n}@example.com" for n in range(30)]
    assert {row["outcome"] for row in rows} == {"accepted"}
    lines = run(stack, "report", campaign, "--format", "jsonl").stdout.splitlines()
    assert json.loads(lines[0]) == {
        "address": "person0@example.com",
        "outcome": "accepted",
        "reason": "",
    }
    assert run(stack, "report", campaign, "--outcome", "rejected").stdout == (
        "address,outcome,reason\n"
    )


def test_bad_rows_are_reported_with_their_numbers(stack: LocalStack, tmp_path: Path) -> None:
    toml, people = files(tmp_path, people=2)
    with Path(people).open("a", encoding="utf-8") as more:
        more.write("nobody,X\nperson0@example.com,Again\n")
    campaign = run(stack, "submit", toml, "-r", people, "--wait").stdout.strip()
    told = status(stack, campaign)
    assert (told["total"], told["invalid"], told["duplicate"]) == (2, 1, 1)
    rows = list(csv.DictReader(io.StringIO(run(stack, "report", campaign, "--bad-rows").stdout)))
    assert [(row["row"], row["kind"]) for row in rows] == [("4", "invalid"), ("5", "duplicate")]


def test_the_same_key_sends_nothing_again(stack: LocalStack, tmp_path: Path) -> None:
    toml, people = files(tmp_path, people=3)
    first = run(stack, "submit", toml, "-r", people, "--key", "k1", "--wait")
    again = run(stack, "submit", toml, "-r", people, "--key", "k1", "--json")
    assert json.loads(again.stdout) == {"id": first.stdout.strip(), "created": False}
    other, _ = files(tmp_path, people=3, campaign=CAMPAIGN.replace("Hello", "Bye"))
    refused = run(stack, "submit", other, "-r", people, "--key", "k1")
    assert "is another one than this" in one_line(refused, 2)
    told = simulator.stats(stack.ses_url)["accepted_per_campaign"]
    assert told[first.stdout.strip()] == 3


def test_pause_resume_and_cancel(stack: LocalStack, tmp_path: Path) -> None:
    campaign = submitted(stack, tmp_path, people=20_000)
    assert run(stack, "pause", campaign).returncode == 0
    assert status(stack, campaign)["state"] == "paused"
    assert run(stack, "resume", campaign).returncode == 0
    wait_until(lambda: status(stack, campaign)["state"] == "sending", "it goes on")
    ran = run(stack, "cancel", campaign, "--json")
    assert json.loads(ran.stdout)["state"] == "cancelled"
    wait_until(lambda: status(stack, campaign)["sending"] == 0, "calls in flight have ended")
    books = status(stack, campaign)
    assert books["accepted"] + books["cancelled"] == books["total"] == 20_000  # type: ignore[operator]
    assert "cancelled" in one_line(run(stack, "resume", campaign), 1)
    assert run(stack, "watch", campaign).returncode == 1


def test_watch_as_json_is_one_status_a_line(stack: LocalStack, tmp_path: Path) -> None:
    campaign = submitted(stack, tmp_path, people=300)
    ran = run(stack, "watch", campaign, "--json")
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 0
    assert [lines[-1]["state"], lines[-1]["accepted"]] == ["finished", 300]
    assert all(line["id"] == campaign for line in lines)


def test_interrupting_a_watch_is_quiet_and_stops_nothing(stack: LocalStack, tmp_path: Path) -> None:
    campaign = submitted(stack, tmp_path, people=20_000)
    watching = subprocess.Popen(
        [sys.executable, "-m", "postroom.cli", "watch", campaign],
        env=stack.environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stderr is not None
    watching.stderr.readline()
    watching.send_signal(signal.SIGINT)
    _, rest = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert "Traceback" not in rest
    assert status(stack, campaign)["state"] == "sending"
    assert run(stack, "cancel", campaign).returncode == 0


def test_list_shows_the_newest_first(stack: LocalStack, tmp_path: Path) -> None:
    newest = submitted(stack, tmp_path, people=1)
    listed = json.loads(run(stack, "list", "--json", "--limit", "2").stdout)
    assert listed[0]["id"] == newest
    assert len(listed) == 2
    assert newest in run(stack, "list").stdout


def test_list_finds_by_name_state_key_and_date(stack: LocalStack, tmp_path: Path) -> None:
    toml, people = files(tmp_path, people=1, campaign=CAMPAIGN.replace('name = "', 'name = "Odd '))
    made = run(stack, "submit", toml, "-r", people, "--key", "odd-1", "--wait").stdout.strip()

    def found(*named: str) -> list[str]:
        return [one["id"] for one in json.loads(run(stack, "list", "--json", *named).stdout)]

    assert found("--name", "odd") == [made]
    assert found("--key", "odd-1") == [made]
    assert found("--name", "odd", "--state", "finished", "--after", "2026-01-01") == [made]
    assert found("--name", "odd", "--state", "halted") == []
    assert found("--after", "2999-01-01T08:00") == []
    assert "no such campaign" in run(stack, "list", "--name", "even").stderr
    assert "--state" in one_line(run(stack, "list", "--state", "lost"), 2)
    assert "write 2026-12-24" in one_line(run(stack, "list", "--after", "yesterday"), 2)


def test_ps_shows_every_process_in_eighty_columns(stack: LocalStack) -> None:
    found = json.loads(run(stack, "ps", "--json").stdout)
    assert {one["kind"] for one in found} == {"producer", "worker"}
    assert [one["troubles"] for one in found] == [[]] * len(found)
    assert all(one["pid"] and one["version"] and one["started_at"] for one in found)
    assert len({one["settings"] for one in found}) == 1
    shown = run(stack, "ps").stdout.splitlines()
    assert len(shown) == 1 + len(found)
    assert max(map(len, shown)) <= 80


def test_rebind_shows_before_it_does(stack: LocalStack, tmp_path: Path) -> None:
    campaign = submitted(stack, tmp_path, people=1)
    assert run(stack, "watch", campaign).returncode == 0
    told = json.loads(run(stack, "rebind", campaign, "--json").stdout)
    assert told == {"sender": "news", "bound": True, "changes": [], "rebound": False}
    assert "means the same" in run(stack, "rebind", campaign).stdout
    assert "it is over" in one_line(run(stack, "rebind", campaign, "--yes"), 1)


def test_log_tells_who_did_what_to_a_campaign(stack: LocalStack, tmp_path: Path) -> None:
    campaign = submitted(stack, tmp_path, people=3)
    assert run(stack, "watch", campaign).returncode == 0
    told = json.loads(run(stack, "log", campaign, "--json").stdout)
    assert " ".join(told[0]) == "at last_at count event by detail account"
    own = [one["event"] for one in told if one["account"] is None]
    assert (own[0], own[-1]) == ("submitted", "finished")
    shown = run(stack, "log", campaign)
    assert "3 recipients, 0 invalid, 0 duplicate" in shown.stdout
    assert shown.stderr == ""
    for wrong in ([], [campaign, "--account", "local"]):
        line = one_line(run(stack, "log", *wrong), 2)
        assert "name a campaign, or an account with --account" in line
    assert "no campaign c0" in one_line(run(stack, "log", "c0"), 1)


def test_who_steers_may_be_named(stack: LocalStack, tmp_path: Path) -> None:
    campaign = submitted(stack, tmp_path, people=3, campaign=LATER)
    for command in ("pause", "resume", "cancel"):
        assert run(stack, command, campaign, "--by", "night shift").returncode == 0
    told = json.loads(run(stack, "log", campaign, "--json").stdout)
    steered = [one["event"] for one in told if one["by"] == "night shift"]
    assert steered == ["paused", "resumed", "cancelled"]


def test_an_account_is_shown_paused_and_resumed(stack: LocalStack, tmp_path: Path) -> None:
    [shown] = json.loads(run(stack, "account", "list", "--json").stdout)
    assert (shown["name"], shown["max_send_rate"], shown["quota"]) == ("local", 200, 100_000)
    assert " ".join(shown) == ACCOUNT_KEYS
    paused = run(stack, "account", "pause", "local")
    assert "paused" in paused.stdout
    assert (shown["burst_seconds"], "50 in 0.25 s" in paused.stdout) == (0.25, True)
    campaign = submitted(stack, tmp_path, people=3)
    wait_until(lambda: status(stack, campaign)["state"] == "waiting", "it waits for the account")
    assert "postroom account resume local" in str(status(stack, campaign)["reason"])
    complained = run(stack, "doctor", "--json")
    wrong = {one["where"]: one["command"] for one in json.loads(complained.stdout)["wrong"]}
    assert wrong == {"account local": "postroom account resume local"}
    assert "open" in run(stack, "account", "resume", "local").stdout
    assert run(stack, "watch", campaign, "--json").returncode == 0
    assert status(stack, campaign)["accepted"] == 3
    befell = run(stack, "log", "--account", "local", "--json").stdout
    steered = [(one["event"], "@" in one["by"]) for one in json.loads(befell) if one["by"]]
    assert steered == [("paused", True), ("resumed", True)]
    line = one_line(run(stack, "account", "show", "nowhere"), 2)
    assert "no account 'nowhere'; there are: local" in line


def test_a_list_of_addresses_is_suppressed_and_what_is_none_is_named(
    stack: LocalStack, tmp_path: Path
) -> None:
    file = tmp_path / "left.txt"
    file.write_text("left1@example.com\n\nnobody\nleft2@example.com\n", encoding="utf-8")
    ran = run(stack, "suppress", "add", "--file", str(file), "--reason", "left", "--json")
    told = json.loads(ran.stdout)
    assert (ran.returncode, told["suppressed"], told["skipped"][0]["row"]) == (1, 2, 3)
    assert run(stack, "suppress", "add", "left3@example.com", "left4@example.com").returncode == 0
    listed = run(stack, "suppress", "list").stdout.splitlines()
    assert {f"left{n}@example.com" for n in (1, 2, 3, 4)} <= {one.split("\t")[0] for one in listed}
    for number in (1, 2, 3, 4):
        run(stack, "suppress", "remove", f"left{number}@example.com")


def test_suppressed_addresses_are_not_mailed(stack: LocalStack, tmp_path: Path) -> None:
    assert run(stack, "suppress", "add", "Person1@Example.com").returncode == 0
    assert run(stack, "suppress", "list").stdout == "person1@example.com\tadded by hand\n"
    campaign = submitted(stack, tmp_path, people=3)
    assert run(stack, "watch", campaign).returncode == 0
    told = status(stack, campaign)
    assert (told["accepted"], told["suppressed"]) == (2, 1)
    removed = run(stack, "suppress", "remove", "person1@example.com", "--json")
    assert json.loads(removed.stdout) == {"address": "person1@example.com", "suppressed": False}
    assert "not on the list" in one_line(run(stack, "suppress", "remove", "x@example.com"), 1)


def test_render_shows_one_mail(stack: LocalStack) -> None:
    toml, people = str(WELCOME / "campaign.toml"), str(WELCOME / "recipients.csv")
    ran = run(stack, "render", toml, "--recipients", people, "--row", "3", "--json")
    shown = json.loads(ran.stdout)
    assert shown["subject"] == "Björn, your account is ready"
    assert "thirty days" in shown["html"]
    assert shown["headers"]["List-Unsubscribe"].startswith("<https://shop.example.com/")
    given = run(stack, "render", toml, "-r", people, "-f", "first_name=<b>", "--part", "html")
    assert "Hello &lt;b&gt;," in given.stdout


def test_check_asks_ses_and_says_how_long_it_takes(stack: LocalStack) -> None:
    toml, people = str(WELCOME / "campaign.toml"), str(WELCOME / "recipients.csv")
    wait = simulator.stats(stack.ses_url)["accepted"]
    ran = run(stack, "check", toml, "-r", people, "--json")
    told = json.loads(ran.stdout)
    assert ran.returncode == 0, ran.stdout
    assert (told["good"], told["recipients"]) == (True, 100)
    assert told["seconds"] == pytest.approx(0.5)
    assert simulator.stats(stack.ses_url)["accepted"] == wait


@pytest.mark.parametrize(
    ("campaign", "rows", "what", "level"),
    [
        (CAMPAIGN, "a@example.com,Ada\nnobody,Bo\n", "recipients", "warning"),
        (CAMPAIGN.replace("Hello", "{{ 1/0 }}"), "a@example.com,A\n", "mails", "problem"),
        (CAMPAIGN, "", "recipients", "warning"),
        (f"{CAMPAIGN}not_after = 2020-01-01T00:00:00Z\n", "a@x.org,A\n", "not_after", "problem"),
    ],
)
def test_check_looks_at_the_first_rows_and_at_the_end(
    stack: LocalStack, tmp_path: Path, campaign: str, rows: str, what: str, level: str
) -> None:
    toml, people = files(tmp_path, people=0, campaign=campaign)
    with Path(people).open("a", encoding="utf-8") as more:
        more.write(rows)
    ran = run(stack, "check", toml, "-r", people, "--json")
    told = {one["what"]: one["level"] for one in json.loads(ran.stdout)["findings"]}
    assert told[what] == level
    assert ran.returncode == (level == "problem")


BAD = "nobody,N\nperson1@EXAMPLE.com,Again\nann@example.com; bob@example.com,Two\n"


def test_check_reads_every_row_and_tells_the_bad_ones(stack: LocalStack, tmp_path: Path) -> None:
    toml, people = files(tmp_path, people=300)
    with Path(people).open("a", encoding="utf-8") as more:
        more.write(BAD)
    run(stack, "suppress", "add", "person7@example.com")
    bad = tmp_path / "bad.csv"
    ran = run(stack, "check", toml, "-r", people, "--bad-rows", str(bad))
    run(stack, "suppress", "remove", "person7@example.com")
    assert ran.returncode == 0, ran.stdout
    assert "299 can be mailed · 2 invalid · 1 repeated · 1 suppressed" in ran.stdout
    assert "row 302: no @ in the address\n" in ran.stdout
    assert "row 304: two addresses or more: one a row\n" in ran.stdout
    assert [row["row"] for row in csv.DictReader(bad.open())] == ["302", "303", "304"]
    told = json.loads(run(stack, "check", toml, "-r", people, "--json").stdout)
    assert (told["recipients"], told["invalid"], told["duplicate"]) == (300, 2, 1)
    assert [row["row"] for row in told["bad_rows"]] == [302, 303, 304]


def test_strict_names_all_bad_rows_and_hands_nothing_in(stack: LocalStack, tmp_path: Path) -> None:
    toml, people = files(tmp_path, people=20)
    with Path(people).open("a", encoding="utf-8") as more:
        more.write(BAD + "x\n" * 20)
    for command in ("submit", "check"):
        ran = run(stack, command, toml, "-r", people, "--strict")
        assert ran.returncode == {"submit": 2, "check": 1}[command]
        for row in (22, 24, *range(25, 45)):
            assert f"row {row}: " in ran.stdout + ran.stderr
    assert "22 rows cannot be mailed; strict: nothing was submitted" in run(
        stack, "submit", toml, "-r", people, "--strict"
    ).stderr.replace("\n", " ")


def test_a_list_of_which_nobody_can_be_mailed_ends_with_1(
    stack: LocalStack, tmp_path: Path
) -> None:
    toml, _ = files(tmp_path, people=0)
    people = tmp_path / "unclosed.csv"
    people.write_text('email,name\na@example.com,"Ann\nb@example.com,Bo\nc@example.com,C\n')
    for more in ((), ("--wait",), ("--strict",)):
        line = one_line(run(stack, "submit", toml, "-r", str(people), *more), 1)
        assert "none of 1 row can be mailed; row 2: a quote opened in row 2 is never" in line
        assert "it swallows the 2 lines after it" in line
    ran = run(stack, "check", toml, "-r", str(people))
    assert (ran.returncode, "0 can be mailed · 1 invalid" in ran.stdout) == (1, True)


def test_submit_says_what_is_probably_not_meant_so(stack: LocalStack, tmp_path: Path) -> None:
    toml, people = files(tmp_path, people=1, campaign=f'{CAMPAIGN}html = "*|FNAME|*"\n')
    with Path(people).open("ab") as more:
        more.write(b"b@example.com,O\x92Neill\nnobody,N\n")
    ran = run(stack, "submit", toml, "-r", people, "--wait")
    assert ran.returncode == 0, ran.stderr
    campaign = ran.stdout.strip()
    for said in (
        "no one-click unsubscribe",
        "*|FNAME|* is another system's tag",
        "row 3: not UTF-8, read as Windows-1252: look at 'O\u2019Neill'",
        f"postroom report {campaign} --bad-rows",
    ):
        assert said in ran.stderr
    assert "look at 'O\u2019Neill'" in run(stack, "status", campaign).stdout
    assert "O\u2019Neill" in str(status(stack, campaign)["warning"])
    checked = run(stack, "check", toml, "-r", people).stdout
    assert "!  unsubscribe" in checked
    assert "!  merge tags" in checked
    assert "look at 'O\u2019Neill'" in checked


def test_recipients_come_from_stdin_and_the_address_from_any_column(
    stack: LocalStack, tmp_path: Path
) -> None:
    toml, _ = files(tmp_path, people=0)
    people = b"sep=;\nEmail Address;name\na@example.com;Ada\n"

    def piped(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "postroom.cli", *arguments]
        return subprocess.run(
            command, env=stack.environ, input=people, capture_output=True, timeout=120, check=False
        )

    refused = piped("submit", toml, "-r", "-")
    assert b"--email-column 'Email Address'" in refused.stderr
    named = ("--email-column", "Email Address")
    ran = piped("submit", toml, "-r", "-", *named, "--wait")
    assert ran.returncode == 0, ran.stderr
    assert status(stack, ran.stdout.decode().strip())["accepted"] == 1
    assert b"1 can be mailed" in piped("check", toml, "-r", "-", *named).stdout
    assert b"Subject: Hello Ada" in piped("render", toml, "-r", "-", *named).stdout


def test_a_field_that_is_nearly_a_column_is_the_campaigns_fault(
    stack: LocalStack, tmp_path: Path
) -> None:
    toml, people = files(tmp_path, people=1, campaign=CAMPAIGN.replace("{{ name", "{{ nme"))
    line = one_line(run(stack, "submit", toml, "-r", people), 2)
    assert f"{toml}: subject, line 1: no column nme; did you mean name?" in line


def test_render_shows_from_whom_and_to_whom(stack: LocalStack) -> None:
    toml, people = str(WELCOME / "campaign.toml"), str(WELCOME / "recipients.csv")
    lines = run(stack, "render", toml, "-r", people, "--row", "3").stdout.splitlines()
    assert lines[0].startswith("From: ")
    assert lines[1].startswith("To: bjorn")


def test_check_says_when_a_campaign_starts(stack: LocalStack, tmp_path: Path) -> None:
    toml, people = files(tmp_path, people=1, campaign=f"{CAMPAIGN}send_at = 2126-12-01T08:00:00Z\n")
    assert "starts at 2126-12-01 08:00 UTC" in run(stack, "check", toml, "-r", people).stdout


def test_a_campaign_that_reached_nobody_ends_with_1(stack: LocalStack, tmp_path: Path) -> None:
    run(stack, "suppress", "add", "person0@example.com")
    toml, people = files(tmp_path, people=1)
    ran = run(stack, "submit", toml, "-r", people, "--wait")
    run(stack, "suppress", "remove", "person0@example.com")
    assert (ran.returncode, "finished  1 of 1" in ran.stderr) == (1, True)


def test_the_version_is_told(stack: LocalStack) -> None:
    assert run(stack, "--version").stdout == f"postroom {postroom.__version__}\n"


def test_help_does_not_ask_for_the_value_of_a_flag(stack: LocalStack) -> None:
    for command in ((), ("submit",), ("suppress", "add"), ("up",)):
        ran = run(stack, *command, "--help")
        assert "--json" in ran.stdout or not command
        assert "bool" not in ran.stdout


@pytest.mark.parametrize(
    ("campaign", "fault"),
    [
        (CAMPAIGN.replace("subject", "subjekt"), "subjekt: no such key; did you mean subject?"),
        (CAMPAIGN.replace("{{ name }}", "{{ name"), "subject, line 1: "),
        (CAMPAIGN.replace('"news"', '"nobody"'), "sender: 'nobody' is unknown; known: news"),
        (CAMPAIGN.replace("{{ name }}", "{{ city }}"), "no column city"),
    ],
)
def test_bad_input_is_one_line_that_says_what_and_where(
    stack: LocalStack, tmp_path: Path, campaign: str, fault: str
) -> None:
    toml, people = files(tmp_path, people=1, campaign=campaign)
    line = one_line(run(stack, "submit", toml, "--recipients", people), 2)
    assert fault in line
    assert str(tmp_path) in line
    assert one_line(run(stack, "check", toml, "--recipients", people), 2) == line


def test_other_bad_input_is_one_line_too(stack: LocalStack, tmp_path: Path) -> None:
    toml, people = files(tmp_path, people=1)
    for arguments, fault in (
        (("submit", toml), "Missing option '--recipients'"),
        (("submit", toml, "-r", f"{people}x"), "people.csvx: No such file or directory"),
        (("submit", f"{toml}x", "-r", people), "campaign.tomlx: No such file or directory"),
        (("submit", toml, "-r", "ftp://x/y"), "s3://"),
        (("sbmit",), "No such command 'sbmit'"),
        (("suppress",), "Missing command"),
        (("report", "x", "--outcome", "lost"), "'--outcome': 'lost' is not one of"),
        (("render", toml, "--row", "2"), "--row"),
    ):
        assert fault in one_line(run(stack, *arguments), 2)


def test_an_unknown_campaign_fails_before_anything_is_written(stack: LocalStack) -> None:
    for command in ("status", "watch", "pause", "resume", "cancel", "report"):
        ran = run(stack, command, "nobody-knows")
        assert "nobody-knows" in one_line(ran, 1)
        assert ran.stdout == ""


def test_redis_away_names_the_host_and_not_the_password(stack: LocalStack) -> None:
    url = "redis://:s3cret@127.0.0.1:1/0"
    line = one_line(run(stack, "list", POSTROOM_REDIS_URL=url), 1)
    assert "127.0.0.1:1" in line
    assert "s3cret" not in line


def test_an_address_of_redis_that_is_none_is_bad_input(stack: LocalStack) -> None:
    for url in ("somewhere", "redis://:s3cret@host:port/0"):
        line = one_line(run(stack, "list", POSTROOM_REDIS_URL=url), 2)
        assert "POSTROOM_REDIS_URL" in line
        assert "s3cret" not in line


def test_a_reader_that_leaves_early_is_no_fault(stack: LocalStack, tmp_path: Path) -> None:
    campaign = submitted(stack, tmp_path, people=1_000)
    run(stack, "cancel", campaign)
    ran = subprocess.run(
        ["sh", "-c", '"$0" -m postroom.cli report "$1" | head -1', sys.executable, campaign],
        env=stack.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert (ran.stdout, ran.stderr) == ("address,outcome,reason\n", "")


def test_what_up_says_is_all_that_another_terminal_needs() -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "postroom.cli", "up"],
        cwd=ROOT,
        env=CLEAN,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    said = list(iter(running.stderr.readline, "Ctrl-C stops it all.\n"))
    typed = [line for line in said if line.startswith("  ")]
    ran = subprocess.run(
        ["sh", "-e"], input="".join(typed), env=CLEAN, capture_output=True, text=True, check=False
    )
    running.send_signal(signal.SIGINT)
    _, last = running.communicate(timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "finished  100 of 100" in ran.stderr
    assert last.endswith("Nothing is left running.\n")


def test_up_runs_until_it_is_interrupted() -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "postroom.cli", "up", "--json"],
        cwd=ROOT,
        env=CLEAN,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    told = json.loads(running.stdout.readline())
    assert simulator.healthy(told["AWS_ENDPOINT_URL_SESV2"])
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 0, said
    assert not simulator.healthy(told["AWS_ENDPOINT_URL_SESV2"])


def test_without_typer_it_says_what_to_install() -> None:
    hidden = "import sys; sys.modules['typer'] = None; from postroom.cli.main import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", hidden], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "pip install 'postroom[cli]'" in one_line(ran, 1)
