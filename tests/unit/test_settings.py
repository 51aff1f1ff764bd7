"""Settings: each number has a range, what must hold between them does, and a refusal says where."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from postroom import ranges, settings
from postroom.errors import BadInputError
from postroom.layers import Layer
from postroom.ranges import RANGES, RELATIONS
from postroom.settings import Settings

DEFAULTS = msgspec.to_builtins(settings.load({}))
ACCOUNT = {
    "region": "eu-west-1",
    "max_send_rate": 14.0,
    "share": 1.0,
    "quota_window_seconds": 86_400.0,
    "bulk_requests_per_second": 1.0,
}


def nested(name: str, value: Any) -> dict[str, Any]:
    tree: Any = value
    for part in reversed(name.replace("*", "main").split(".")):
        tree = {part: tree}
    return dict(tree)


def checked(*changes: tuple[str, Any]) -> Settings:
    layers = [
        Layer("default.toml", {**DEFAULTS, "accounts": {"main": ACCOUNT}}),
        *(Layer("own.toml", nested(name, value)) for name, value in changes),
    ]
    return settings.checked(layers)


def refused(*changes: tuple[str, Any]) -> str:
    with pytest.raises(BadInputError) as error:
        checked(*changes)
    said = str(error.value)
    assert "\n" not in said
    return said


def complaint(*changes: tuple[str, Any]) -> str:
    """What is said of settings; nothing of good ones."""
    try:
        checked(*changes)
    except BadInputError as error:
        return str(error)
    return ""


def number_names(kind: type[msgspec.Struct] = Settings, above: str = "") -> set[str]:
    found: set[str] = set()
    for field in msgspec.structs.fields(kind):
        name, of = f"{above}{field.encode_name}", field.type
        if of in (int, float, float | None):
            found.add(name)
        elif isinstance(of, type) and issubclass(of, msgspec.Struct):
            found |= number_names(of, f"{name}.")
        elif name == "accounts":
            found |= number_names(settings.Account, "accounts.*.")
    return found


def test_every_number_has_a_range() -> None:
    assert set(RANGES) == number_names()


@pytest.mark.parametrize("name", RANGES)
def test_what_is_outside_its_range_is_refused_by_name(name: str) -> None:
    low, high = RANGES[name]
    whole = isinstance(low, int) and "seconds" not in name
    step = 1 if whole else max(abs(high), 1) * 1e-6
    for beyond in (low - step, high + step, *(() if whole else (float("inf"), float("nan")))):
        said = refused((name, beyond))
        assert said.startswith(f"settings: {name.replace('*', 'main')} (own.toml) ")


@pytest.mark.parametrize("name", [one for one in RANGES if not one.startswith("accounts")])
def test_both_ends_are_allowed_where_nothing_else_forbids_them(name: str) -> None:
    for end in RANGES[name]:
        said = complaint((name, end))
        assert "must be from" not in said
        assert not said or "must" in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"retry.base_seconds": 11.0}, "must not be above retry.cap_seconds (10)"),
        ({"worker.slice_seconds": 30.0}, "must be below worker.lease_seconds (30)"),
        ({"worker.max_wait_seconds": 10.1}, "twice and with retry.cap_seconds (10) beside it"),
        ({"retry.cap_seconds": 20.1}, "must, twice and with retry.cap_seconds (20.1)"),
        ({"worker.grace_seconds": 30.1}, "must not be above worker.lease_seconds (30)"),
        (
            {"redis.timeout_seconds": 15.1, "producer.lease_seconds": 60.0},
            "at most half of worker.lease_seconds (30)",
        ),
        ({"producer.lease_seconds": 9.9}, "at most half of producer.lease_seconds (9.9)"),
        (
            {"dispatch.tick_seconds": 1.0, "dispatch.grace_seconds": 1.0},
            "must be below dispatch.grace_seconds (1)",
        ),
        (
            {"ses.read_timeout_seconds": 22.5},
            "worker.lease_seconds (default.toml) must be at least",
        ),
    ],
)
def test_what_must_hold_between_settings_is_said_in_words(
    changes: dict[str, float], words: str
) -> None:
    assert words in refused(*changes.items())


def test_every_relation_holds_of_the_defaults_and_names_settings() -> None:
    assert {name for relation in RELATIONS for name in relation.names} <= set(RANGES)
    assert not list(ranges.faults(DEFAULTS))


class TestOrigin:
    """A refusal names the file or the variable that had the last word."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "own.toml"
        path.write_text("[worker]\nslots = 8\n[accounts.main]\nregion = 'eu-west-1'\n")
        return path

    @pytest.mark.parametrize(
        ("variable", "value", "words"),
        [
            ("POSTROOM_WORKER__SLOTS", "abc", "worker.slots (POSTROOM_WORKER__SLOTS)"),
            ("POSTROOM_WORKER__SLOTS", "0", "worker.slots (POSTROOM_WORKER__SLOTS) is 0"),
            ("POSTROOM_WORKER__SLOT", "3", "did you mean slots?"),
            ("POSTROOM_WROKER__SLOTS", "3", "did you mean worker?"),
            ("POSTROOM_LIMITER__DECREASE", "nan", "(POSTROOM_LIMITER__DECREASE) is nan"),
            ("POSTROOM_ACCOUNTS__MAIN__SHARE", "2", "accounts.main.share (POSTROOM_ACCOUNTS__"),
            ("POSTROOM_ACCOUNTS__MAIN__SHARE", "x", "accounts.main.share (POSTROOM_ACCOUNTS__"),
            ("POSTROOM_ACCOUNTS__OTHER__SHARE", "1", "accounts.other.region is missing"),
            ("POSTROOM_WORKER__SLOTS__MANY", "1", "(POSTROOM_WORKER__SLOTS__MANY)"),
        ],
    )
    def test_is_the_variable(self, file: Path, variable: str, value: str, words: str) -> None:
        with pytest.raises(BadInputError) as error:
            settings.load({"POSTROOM_CONFIG": str(file), variable: value})
        assert words in str(error.value)
        assert str(file) not in str(error.value)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[worker]\nslots = 0", "worker.slots ({file}) is 0: it must be from 1 to 1,000"),
            ("[worker]\nslotz = 3", "worker.slotz ({file}) is no setting; did you mean slots?"),
            ("[wroker]\nslots = 3", "wroker ({file}) is no setting; did you mean worker?"),
            ("[worker]\nslots = true", "worker.slots ({file}) is of no use"),
            ("[senders.n]\naccount = 'main'\nform = 'x'", "did you mean from?"),
            (
                "[accounts.main]\nregion = 'a'\n[senders.n]\naccount = 'mian'\nfrom = 'x'",
                "senders.n.account ({file}) names no account: 'mian'; did you mean 'main'?",
            ),
            ("[accounts.'a b']\nregion = 'x'", "accounts.a b ({file}) is no name"),
            ('"a\\nb" = 1', "a?b ({file}) is no setting"),
        ],
    )
    def test_is_the_file(self, tmp_path: Path, text: str, words: str) -> None:
        path = tmp_path / "own.toml"
        path.write_text(text)
        with pytest.raises(BadInputError) as error:
            settings.load({"POSTROOM_CONFIG": str(path)})
        assert words.format(file=path) in str(error.value)
        assert "\n" not in str(error.value)


WILD = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)
NEAR = st.one_of(st.floats(0, 100), st.integers(0, 100))
NAMES = st.sampled_from(sorted({*RANGES, "redis.url", "redis.prefix", "log.level", "worker.x"}))
CHANGES = st.lists(st.tuples(NAMES, st.one_of(WILD, NEAR, NEAR)), max_size=4)


@hypothesis_settings(deadline=None, max_examples=300)
@given(changes=CHANGES)
def test_any_settings_are_good_or_refused_in_one_line(changes: list[tuple[str, Any]]) -> None:
    said = complaint(*changes)
    assert len(said.splitlines()) == bool(said)
    assert said.startswith("settings: " if said else "")
    assert said or not list(ranges.faults(msgspec.to_builtins(checked(*changes))))


@hypothesis_settings(deadline=None, max_examples=200)
@given(
    variables=st.dictionaries(
        st.sampled_from([f"POSTROOM_{one.upper().replace('.', '__')}" for one in RANGES]),
        st.text(max_size=8),
        max_size=3,
    )
)
def test_any_environment_is_good_or_refused_in_one_line(variables: dict[str, str]) -> None:
    try:
        said = str(settings.load(variables) and "")
    except BadInputError as error:
        said = str(error)
    assert len(said.splitlines()) == bool(said)
