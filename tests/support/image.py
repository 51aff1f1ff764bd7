"""The image of deploy/Dockerfile without an engine: its steps, carried out in an empty folder.

The base image is this machine's own Python and system, bound read-only; everything else comes
from the steps, as they are written. Processes run in it as the user that the steps name, over a
read-only root with a /tmp of their own, as compose.yaml has them. By root that user is real; by
anybody else it is one of a user namespace, and then says nothing about who may write where.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path

from postroom import settings

ROOT_USER = "0:0"
_INSTALLS = re.compile(
    r"(?P<make>python -m venv) (?P<venv>\S+) && (?P=venv)/bin/pip install --no-cache-dir "
    r"--require-hashes -r (?P<lock>\S+)"
)
_LINKS = ("bin", "sbin", "lib", "lib64")
_FROM_ETC = ("hosts", "ld.so.cache", "login.defs", "nsswitch.conf", "resolv.conf", "pip.conf")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Stage:
    """What the steps since a FROM have made."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ROOT_USER
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)

    def at(self, path: str) -> Path:
        """Return where a path of the image is on this machine."""
        return self.root / os.path.normpath(Path(self.workdir, path)).lstrip("/")


def can_be_built() -> bool:
    """Whether this machine lets us have a mount namespace."""
    probe = [*_namespace(ROOT_USER), "true"]
    return bool(shutil.which("unshare")) and subprocess.run(probe, check=False).returncode == 0


def build(dockerfile: Path, *, context: Path, folder: Path, packages: Path | None = None) -> Stage:
    """Carry out every step. One that is not known here is an error, never left out.

    With `packages`, the site-packages of an environment that has the same versions and more, what
    pip would install is taken from there: two seconds in place of half a minute.
    """
    return _Builder(context, folder, packages).build(dockerfile.read_text(encoding="utf-8"))


def command(
    stage: Stage, arguments: Sequence[str], *, environ: Mapping[str, str], mounted: Path
) -> list[str]:
    """What starts the image with these arguments; `mounted` is its folder /w."""
    (stage.root / "w").mkdir(exist_ok=True)
    words = [*stage.entrypoint, *(arguments or stage.cmd)]
    return _inside(stage, words, environ=environ, mounted={mounted: "/w"}, read_only=True)


def steps(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction and the rest of its line, continued lines made one."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word.upper(), rest.strip()


def taken(context: Path, source: str) -> Iterator[Path]:
    """Yield the files at or below `source` that the context's .dockerignore leaves in."""
    rules = (context / ".dockerignore").read_text(encoding="utf-8").split()
    top = context / source
    for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
        one = path.relative_to(context)
        said = [rule for rule in rules if _matches(str(one), rule.removeprefix("!"))]
        if path.is_file() and not (said and not said[-1].startswith("!")):
            yield one


def _matches(name: str, rule: str) -> bool:
    pattern = re.escape(rule).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
    return re.fullmatch(f"{pattern}(/.*)?", name) is not None


class _Builder:
    def __init__(self, context: Path, folder: Path, packages: Path | None) -> None:
        self._context = context
        self._folder = folder
        self._packages = packages
        self._args: dict[str, str] = {}
        self._stages: dict[str, Stage] = {}
        self._now = Stage(folder)

    def build(self, text: str) -> Stage:
        for word, rest in steps(text):
            getattr(self, f"_{word.lower()}")(rest)
        return self._now

    def _arg(self, rest: str) -> None:
        name, _, default = rest.partition("=")
        self._args[name] = default

    def _from(self, rest: str) -> None:
        image, _, name = self._filled(rest).partition(" AS ")
        assert image.startswith("python:"), f"this machine can stand in for Python's image: {image}"
        root = self._folder / (name or "final")
        _lay_base(root)
        self._now = self._stages[name] = Stage(root, env={"PATH": f"/base/bin:{_SYSTEM_PATH}"})

    def _workdir(self, rest: str) -> None:
        self._now.workdir = rest
        self._now.at(".").mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        *sources, target = shlex.split(rest)
        if sources[0].startswith("--from="):
            stage = self._stages[sources.pop(0).removeprefix("--from=")]
            for source in sources:
                shutil.copytree(stage.at(source), self._now.at(target), symlinks=True)
            return
        for source in sources:
            self._copy_from_context(source, target)

    def _copy_from_context(self, source: str, target: str) -> None:
        found = list(taken(self._context, source))
        assert found, f"COPY {source}: nothing of it is in the build context"
        for one in found:
            inner = Path(one.name) if one == Path(source) else one.relative_to(source)
            to = self._now.at(target) / inner
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self._context / one, to)

    def _run(self, rest: str) -> None:
        # As a build does, with what this machine says about proxies and package indexes.
        given = {
            name: value
            for name, value in settings.environment().items()
            if name.lower().endswith("_proxy") or name.startswith("PIP_")
        }
        if self._packages and (found := _INSTALLS.fullmatch(rest)):
            lock = self._now.at(found["lock"]).read_text(encoding="utf-8")
            _take_over(lock, self._packages, self._now.root, venv=found["venv"])
            rest = f"{found['make']} --without-pip {found['venv']}"
        words = _inside(self._now, ["/bin/sh", "-c", rest], environ=given)
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"RUN {rest}\n{ran.stdout}{ran.stderr}"

    def _env(self, rest: str) -> None:
        for pair in shlex.split(self._filled(rest)):
            name, _, value = pair.partition("=")
            self._now.env[name] = value

    def _user(self, rest: str) -> None:
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", rest), f"USER {rest}: a number, and not root"
        self._now.user = rest

    def _stopsignal(self, rest: str) -> None:
        assert rest == "SIGTERM"

    def _entrypoint(self, rest: str) -> None:
        self._now.entrypoint = json.loads(rest)

    def _cmd(self, rest: str) -> None:
        self._now.cmd = json.loads(rest)

    def _filled(self, text: str) -> str:
        known = self._args | self._now.env
        return re.sub(r"\$\{?(\w+)\}?", lambda found: known[found[1]], text)


def _take_over(lock: str, packages: Path, root: Path, *, venv: str) -> None:
    """Copy what a lock pins from one environment into another, with its programs."""
    inside = Path(root, venv.lstrip("/"))
    target = inside / "lib" / packages.parent.name / "site-packages"
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)", lock, re.MULTILINE))
    for name, number in pinned.items():
        one = next(iter(distributions(name=name, path=[str(packages)])), None)
        if one is None:
            continue  # Of another platform or Python: its marker leaves it out.
        assert one.version == number, f"{name} is {one.version} here, and pinned as {number}"
        for file in one.files or ():
            source, to = Path(str(one.locate_file(file))), Path(os.path.normpath(target / file))
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to)  # Its compiled form goes by the time of its source.
            if to.parent == inside / "bin":
                to.write_text(re.sub(r"^#!.*", f"#!{venv}/bin/python", source.read_text()))


def _lay_base(root: Path) -> None:
    """Lay out what python:…-slim would bring and cannot be bound."""
    for name in ("usr", "proc", "dev", "tmp", "etc/ssl", "opt", "root", "base/bin"):
        (root / name).mkdir(parents=True)
    for link in (Path("/", name) for name in _LINKS):
        if link.is_symlink():
            (root / link.name).symlink_to(link.readlink())
    for name in _FROM_ETC:
        if Path("/etc", name).exists():
            shutil.copy(f"/etc/{name}", root / "etc" / name)
    shutil.copytree("/etc/ssl/certs", root / "etc/ssl/certs", symlinks=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/shadow").write_text("root:*:1::::::\n")
    # Python's image has a `python`; Debian's own is called python3.
    python = root / "base/bin/python"
    own = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    python.write_text(f'#!/bin/sh\nexec {own} "$@"\n')
    python.chmod(0o755)


def _namespace(user: str) -> list[str]:
    if os.geteuid() == 0:
        return ["unshare", "--mount"]
    uid, _, gid = user.partition(":")
    return ["unshare", f"--map-user={uid}", f"--map-group={gid}", "--keep-caps", "--mount"]


def _inside(
    stage: Stage,
    words: Sequence[str],
    *,
    environ: Mapping[str, str],
    mounted: Mapping[Path, str] | None = None,
    read_only: bool = False,
) -> list[str]:
    """What runs a program with the stage's folder as its root, user, folder and environment."""
    root = shlex.quote(str(stage.root))
    bound = {Path("/usr"): "/usr", Path(sys.base_prefix): sys.base_prefix}
    bound |= {Path("/", name): f"/{name}" for name in _LINKS if not Path("/", name).is_symlink()}
    script = ["set -e", f"PATH={_SYSTEM_PATH}", f"mount --rbind {root} {root}"]
    for source, target in bound.items():
        (stage.root / target.lstrip("/")).mkdir(parents=True, exist_ok=True)
        script.append(f"mount --bind {source} {root}{target}")
        script.append(f"mount -o remount,bind,ro {root}{target}")
    script += [f"mount --rbind /{name} {root}/{name}" for name in ("proc", "dev")]
    script += [f"mount --bind {shlex.quote(str(a))} {root}{b}" for a, b in (mounted or {}).items()]
    if read_only:
        script.append(f"mount -o remount,bind,ro {root}")
    script.append(f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp")
    who = f"--userspec={stage.user} " if os.geteuid() == 0 else ""
    env = [f"{name}={value}" for name, value in (stage.env | dict(environ)).items()]
    program = shlex.join(["/usr/bin/env", "-i", "-C", stage.workdir, *env, *words])
    script.append(f"exec chroot {who}{root} {program}")
    return [*_namespace(stage.user), "sh", "-c", "\n".join(script)]
