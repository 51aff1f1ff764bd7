"""The house rules that no linter knows, read off the sources with `ast`."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import pytest

from postroom import settings
from postroom.broker import queues
from tests.conftest import LONGEST

ROOT = Path(__file__).parent.parent
OURS = ("postroom", "producers", "worker", "simulator")
MAX_FILE_LINES = 250
MAX_FUNCTION_LINES = 40

# The floors of postroom/: a module imports from its own floor and those below. A package that is
# not named stands with the client.
FLOORS: Mapping[str, int] = {
    "postroom.model": 0,
    "postroom.errors": 0,
    "postroom.clock": 1,
    "postroom.estimate": 1,
    "postroom.ids": 1,
    "postroom.layers": 1,
    "postroom.logs": 1,
    "postroom.meaning": 1,
    "postroom.outgoing": 1,
    "postroom.ranges": 1,
    "postroom.redaction": 1,
    "postroom.redis_url": 1,
    "postroom.remedies": 1,
    "postroom.settings": 1,
    "postroom.version": 1,
    "postroom.wire": 1,
    "postroom.broker": 2,
    "postroom.content": 2,
    "postroom.store": 2,
    "postroom.dispatch": 3,
    "postroom.intake": 3,
    "postroom.messages": 4,
    "postroom.submission": 4,
    "postroom.views": 5,
    "postroom.health": 6,
    "postroom.cli": 8,
}
CLIENT_FLOOR = 7
WORKER_FLOORS = ("ses", "account", "sending", "process")


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    tree: ast.Module
    lines: int

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]


@cache
def modules() -> Mapping[str, Module]:
    found = {}
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__init__")
            text = path.read_text(encoding="utf-8")
            found[name] = Module(name, path, ast.parse(text), text.count("\n"))
    return found


def imported(module: Module) -> Iterator[str]:
    """Yield the full names a module imports; of ours, down to the submodule."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.name}: write imports in full"
            source = node.module or ""
            for alias in node.names:
                full = f"{source}.{alias.name}"
                yield full if full in modules() else source


def ours(module: Module) -> set[str]:
    return {name for name in imported(module) if name in modules() and name != module.name}


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def package(name: str) -> str:
    return ".".join(name.split(".")[:2])


def floor(name: str) -> int:
    return FLOORS.get(package(name), CLIENT_FLOOR)


# --- imports -------------------------------------------------------------------------------


def test_the_two_processes_and_the_shared_part_import_in_one_direction() -> None:
    forbidden = {
        "postroom": {"worker", "producers", "simulator"},
        "worker": {"producers", "simulator"},
        "producers": {"worker", "simulator"},
        "simulator": {"postroom", "worker", "producers"},
    }
    wrong = [
        f"{module.name} imports {name}"
        for module in modules().values()
        for name in imported(module)
        if name.partition(".")[0] in forbidden[module.package]
    ]
    assert wrong == []


def test_imports_inside_postroom_point_down() -> None:
    wrong = [
        f"{module.name} imports {name}"
        for module in modules().values()
        for name in ours(module)
        if module.package == name.partition(".")[0] == "postroom"
        and floor(name) > floor(module.name)
    ]
    assert wrong == []


def test_imports_inside_the_worker_point_down() -> None:
    floors = {f"worker.{name}": at for at, name in enumerate(WORKER_FLOORS)}
    wrong = [
        f"{module.name} imports {name}"
        for module in modules().values()
        for name in ours(module)
        if floors.get(package(name), 0) > floors.get(package(module.name), len(floors))
    ]
    assert wrong == []


def test_the_map_shows_every_part_of_the_shared_package_and_of_the_worker() -> None:
    drawn = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    parts = [*(ROOT / "postroom").iterdir(), *(ROOT / "worker").glob("*/")]
    folders = [part.name for part in parts if (part / "__init__.py").exists()]
    files = [part.stem for part in parts if part.suffix == ".py" and part.stem != "__init__"]
    assert [name for name in folders if f" {name}/ " not in drawn] == []
    assert [name for name in files if not re.search(rf"\b{name}\b", drawn)] == []


def test_the_glossary_names_classes_that_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`(?:[a-z_]+\.)*([A-Z]\w+)(?:\.\w+)?`", text.partition("## Glossary")[2])
    there = {
        node.name
        for m in modules().values()
        for node in m.tree.body
        if isinstance(node, ast.ClassDef)
    }
    assert named
    assert sorted(set(named) - there) == []


def test_a_decision_has_a_date_and_a_status() -> None:
    for page in (ROOT / "docs" / "decisions").glob("*.md"):
        title, _, dated = page.read_text(encoding="utf-8").splitlines()[:3]
        assert title.startswith(f"# {int(page.name[:4])}. "), page.name
        assert re.match(r"20\d\d-\d\d-\d\d · .*(accepted|superseded)", dated), page.name


def test_nobody_but_the_command_imports_the_command() -> None:
    wrong = [
        f"{module.name} imports {name}"
        for module in modules().values()
        for name in ours(module)
        if f"{name}.".startswith("postroom.cli.")
        and not f"{module.name}.".startswith("postroom.cli.")
    ]
    assert wrong == []


def test_model_and_errors_import_the_standard_library_only() -> None:
    for name in ("postroom.model", "postroom.errors"):
        for other in imported(modules()[name]):
            assert other.partition(".")[0] in sys.stdlib_module_names, f"{name} imports {other}"


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {name: ours(module) for name, module in modules().items()}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in sorted(graph[name]):
                walk(other, (*path, name))
            done.add(name)

    for name in graph:
        walk(name, ())


def test_celery_is_imported_in_app_tasks_and_publish_alone() -> None:
    homes = {"app.py", "tasks.py", "publish.py", "celery_config.py"}
    wrong = [
        f"{module.name} imports {name}"
        for module in modules().values()
        for name in imported(module)
        if name.partition(".")[0] in {"celery", "kombu"} and module.path.name not in homes
    ]
    assert wrong == []


def test_redis_is_spoken_in_the_store_alone() -> None:
    wrong = [
        module.name
        for module in modules().values()
        for name in imported(module)
        if name.partition(".")[0] == "redis"
        # The one beside the store reads addresses and connects to nothing.
        and not module.name.startswith(("postroom.store", "postroom.redis_url"))
    ]
    assert wrong == []


# --- size ----------------------------------------------------------------------------------


def test_a_module_has_one_subject() -> None:
    long = {m.name: m.lines for m in modules().values() if m.lines > MAX_FILE_LINES}
    assert long == {}


def test_a_function_fits_on_one_screen() -> None:
    long = {
        f"{module.name}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module in modules().values()
        for node in functions(module)
        if (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert long == {}


# --- queues, scripts, settings ---------------------------------------------------------------


def test_every_queue_has_a_consumer() -> None:
    entrypoint = (ROOT / "deploy" / "entrypoint.sh").read_text(encoding="utf-8")
    consumed = {
        queue for match in re.findall(r"-Q (\S+)", entrypoint) for queue in match.split(",")
    }
    # A queue is a word; a task has a dotted name.
    named = {
        value
        for name, value in vars(queues).items()
        if name.isupper() and isinstance(value, str) and "." not in value
    }
    assert named == consumed


def lua_scripts() -> list[Path]:
    return sorted((ROOT / "postroom" / "store" / "lua").glob("*.lua"))


@pytest.mark.parametrize("script", lua_scripts(), ids=lambda path: path.stem)
def test_a_lua_script_says_what_it_takes_and_gives(script: Path) -> None:
    head = []
    for line in script.read_text(encoding="utf-8").splitlines():
        if not line.startswith("--"):
            break
        head.append(line)
    header = "\n".join(head)
    assert re.match(rf"-- {script.stem}: \S", header), "first line: -- name: what it does"
    for word in ("KEYS", "Returns"):
        assert re.search(rf"^-- .*{word}", header, re.MULTILINE), f"the header tells no {word}"
    if "ARGV" in script.read_text(encoding="utf-8").removeprefix(header):
        assert "ARGV" in header, "the header tells no ARGV"


def shared_lua() -> list[Path]:
    return sorted((ROOT / "postroom" / "store" / "lua" / "shared").glob("*.lua"))


@pytest.mark.parametrize("shared", shared_lua(), ids=lambda path: path.stem)
def test_a_shared_function_says_what_it_does_and_is_used(shared: Path) -> None:
    text = shared.read_text(encoding="utf-8")
    assert re.match(rf"-- {shared.stem}: \S", text), "first line: -- name: what it does"
    assert f"local function {shared.stem}(" in text
    assert [one for one in lua_scripts() if f"{shared.stem}(" in one.read_text(encoding="utf-8")]


@pytest.mark.parametrize("script", lua_scripts(), ids=lambda path: path.stem)
def test_a_lua_script_is_wrapped_by_one_function(script: Path) -> None:
    callers = [
        f"{module.name}.{function.name}"
        for module in modules().values()
        for function in functions(module)
        if script.stem in set(scripts_run_by(function))
    ]
    assert len(callers) == 1, f"{script.name} is run by {callers or 'nobody'}"


def scripts_run_by(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yield the scripts a function names: `run("name", …)` or a step `("name", keys, args)`."""
    for node in ast.walk(function):
        first: ast.expr | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            first = node.args[0] if node.func.attr == "run" else None
        elif isinstance(node, ast.Tuple) and len(node.elts) == 3:
            first = node.elts[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


DEFAULT_TOML = ROOT / "config" / "default.toml"


def test_every_setting_stands_in_the_defaults_and_nothing_else_does() -> None:
    written = tomllib.loads(DEFAULT_TOML.read_text(encoding="utf-8"))
    declared = {
        section.name: {key.name for key in msgspec.structs.fields(section.type)}
        for section in msgspec.structs.fields(settings.Settings)
        if section.name not in {"accounts", "senders"}
    }
    assert {name: set(table) for name, table in written.items()} == declared


def test_every_setting_is_explained() -> None:
    """A comment stands above it, or above the group it belongs to."""
    explained = False
    for line in DEFAULT_TOML.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            explained = False
        elif line.startswith("#"):
            explained = True
        elif line:
            assert explained, f"no comment above: {line}"


@pytest.mark.parametrize(
    ("heading", "section"),
    [("# [accounts.NAME]", settings.Account), ("# [senders.NAME]", settings.Sender)],
)
def test_accounts_and_senders_are_shown_with_every_key(
    heading: str, section: type[msgspec.Struct]
) -> None:
    text = DEFAULT_TOML.read_text(encoding="utf-8")
    shown = re.findall(r"^# (\w+) = ", text.partition(heading)[2].partition("\n\n")[0], re.M)
    assert shown == [key.encode_name for key in msgspec.structs.fields(section)]


# --- people's addresses ----------------------------------------------------------------------

LOGGERS = {"log", "logger", "logging"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "bind"}


def log_calls() -> Iterator[tuple[Module, ast.Call]]:
    for module in modules().values():
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS
                and ast.unparse(node.func.value).rpartition(".")[2].lstrip("_").lower() in LOGGERS
            ):
                yield module, node


def test_no_address_is_logged() -> None:
    wrong = []
    for module, call in log_calls():
        text = ast.unparse(call)
        fields = {keyword.arg for keyword in call.keywords}
        named = fields & {"email", "address", "recipient", "recipients", "to"}
        reads = [
            node.attr
            for node in ast.walk(call)
            if isinstance(node, ast.Attribute) and node.attr == "email"
        ]
        if named or reads or re.search(r"[\w.+-]+@[\w-]+\.\w", text):
            wrong.append(f"{module.name}:{call.lineno}: {text}")
    assert wrong == []


def test_an_event_says_why_in_one_field_whichever_process_logs_it() -> None:
    """An alarm on `reason` must see producers too."""
    other = {"why", "warning", "error", "cause", "message"}
    wrong = [
        f"{module.name}:{call.lineno}: {ast.unparse(call)}"
        for module, call in log_calls()
        if {keyword.arg for keyword in call.keywords} & other
    ]
    assert wrong == []


# --- the project -----------------------------------------------------------------------------


LOCKS = ("requirements.lock", "requirements-runtime.lock")


def pins(lock: str) -> list[str]:
    """Return the entries of a lock, each a pin and its hashes."""
    return re.split(r"\n(?=\S)", (ROOT / lock).read_text(encoding="utf-8").strip())


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_everything_by_hash_and_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert re.findall(r"^--", text, re.MULTILINE) == []
    bad = [
        entry.splitlines()[0]
        for entry in pins(lock)
        if not re.match(r"[a-z0-9-]+==\S+", entry) or "--hash=sha256:" not in entry
    ]
    assert bad == []


def test_the_image_runs_the_versions_that_were_tested() -> None:
    tested, run = ({entry.split()[0] for entry in pins(lock)} for lock in LOCKS)
    assert run <= tested


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_wheel_has_one_name_at_the_top_and_carries_the_processes_below_it(
    tmp_path: Path,
) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"postroom"}
    assert {"postroom/default.toml", "postroom/py.typed"} <= names
    # The processes, in a folder of their own: at the top they would collide with a service's.
    carried = {f"postroom/_processes/{name}" for name in ("worker/app.py", "producers/app.py")}
    assert carried | {"postroom/_processes/simulator/page.html"} <= names
    assert not any("__pycache__" in name for name in names)
    scripts = [*lua_scripts(), *shared_lua()]
    assert {path.relative_to(ROOT).as_posix() for path in scripts} <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_longest_test_files_are_there() -> None:
    """Else one that was renamed goes last, and is waited for alone."""
    assert [name for name in LONGEST if not (ROOT / "tests" / name).is_file()] == []
