"""`python -m simulator`: flags, the line it prints, how it stops."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.simulator.running import ROOT, RunningSimulator, people, statuses


def test_a_free_port_on_the_loopback_is_taken_and_told(
    start: Callable[..., RunningSimulator],
) -> None:
    first, second = start(), start()
    assert urlsplit(first.url).hostname == "127.0.0.1"
    assert first.url != second.url
    assert second.get("health") == {"status": "ok"}


def test_flags_are_settings(start: Callable[..., RunningSimulator]) -> None:
    running = start(
        *("--rate", "10", "--quota", "100", "--quota-window", "60", "--burst-seconds", "0.5"),
        *("--latency-ms", "1", "--verify-identities", "--verified", "shop.example.com"),
        *("--verified", "ana@example.org", "--access-key", "AKIATEST", "--no-production-access"),
        *("--configuration-set", "campaigns"),
    )
    settings = running.get("settings")
    assert (settings["rate"], settings["quota"], settings["quota_window"]) == (10, 100, 60)
    assert settings["verified"] == ["shop.example.com", "ana@example.org"]
    assert (settings["access_keys"], settings["configuration_sets"]) == (
        ["AKIATEST"],
        ["campaigns"],
    )
    assert (settings["verify_identities"], settings["production_access"]) == (True, False)
    assert statuses(running.send_bulk(["ana@example.org"] * 7)).count("SUCCESS") == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_at_once_even_while_a_call_hangs(
    start: Callable[..., RunningSimulator], number: signal.Signals
) -> None:
    running = start()
    running.fault("hang_before", seconds=600)
    address = urlsplit(running.url)
    with socket.create_connection((address.hostname, address.port)) as waiting:
        waiting.sendall(
            b"POST /v2/email/outbound-emails HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
            b"Authorization: AWS4-HMAC-SHA256 Credential=A/1\r\n\r\n{}"
        )
        running.get("health")
        assert running.stop(number) == 0


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--rate", "-1"], "rate must not be negative"),
        (["--rate", "fast"], "not a valid float"),
        (["--faults", "/nowhere.toml"], "does not exist"),
    ],
)
def test_a_bad_flag_ends_with_a_clear_line_and_code_two(flags: list[str], reason: str) -> None:
    command = [sys.executable, "-m", "simulator", "--port", "0", *flags]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=20
    )
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_told_without_a_traceback(
    start: Callable[..., RunningSimulator],
) -> None:
    port = str(urlsplit(start().url).port)
    ended = subprocess.run(
        [sys.executable, "-m", "simulator", "--port", port],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_only_the_last_mails_are_kept_whole(start: Callable[..., RunningSimulator]) -> None:
    running = start("--mails-kept", "10")
    running.send_bulk(people(50))
    assert len(running.get("mails?limit=100")["mails"]) == 10
    assert running.stats["distinct_accepted"] == 50
