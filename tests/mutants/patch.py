"""A mutation of one place, kept as a unified diff under one line that says what it breaks.

    what law it breaks | the files or folders under tests/ that should catch it

A hunk is found by its text, which must stand in its file exactly once, so that it moves with the
code, and fails as soon as the code is another.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

FOLDER: Final = Path(__file__).parent


class BadPatchError(Exception):
    """It does not say what it must, or what it changes does not stand there exactly once."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """What stands in a file, and what comes in its place."""

    file: str
    before: str
    after: str

    def apply(self, root: Path) -> None:
        path = root / self.file
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if (found := text.count(self.before)) != 1:
            raise BadPatchError(f"{self.file}: its lines stand there {found} times, not once")
        path.write_text(text.replace(self.before, self.after), encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One mutation: named for what it breaks."""

    name: str
    law: str
    tests: tuple[str, ...]
    hunks: tuple[Hunk, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises `BadPatchError`."""
        head, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        law, bar, tests = head.partition(" | ")
        hunks = _hunks(lines)
        if not bar or not tests.strip() or not hunks:
            raise BadPatchError(f"{path.name}: wants `law | tests` above, and a hunk")
        wanted = tuple(f"tests/{one}" for one in tests.split())
        return cls(name=path.stem, law=law, tests=wanted, hunks=hunks)

    def apply(self, root: Path) -> None:
        """Change the checkout `root`. Raises `BadPatchError`."""
        for hunk in self.hunks:
            hunk.apply(root)

    @property
    def files(self) -> set[str]:
        return {hunk.file for hunk in self.hunks}


def every() -> list[Mutant]:
    """Read all that are kept here, by name."""
    return [Mutant.read(path) for path in sorted(FOLDER.glob("*.patch"))]


def _hunks(lines: list[str]) -> tuple[Hunk, ...]:
    file, hunks = "", list[Hunk]()
    for line in lines:
        if line.startswith("+++ "):
            file = line.removeprefix("+++ b/").strip()
        elif line.startswith("@@"):
            hunks.append(Hunk(file, "", ""))
        elif hunks and line[0] in " -+" and not line.startswith("--- a/"):
            one = hunks[-1]
            before = one.before + line[1:] * (line[0] != "+")
            after = one.after + line[1:] * (line[0] != "-")
            hunks[-1] = Hunk(file, before, after)
    return tuple(hunks)
