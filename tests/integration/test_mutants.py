"""Mutants: each still fits the code, and the runner tells what became of it."""

from pathlib import Path

import pytest

from tests.mutants.patch import FOLDER, BadPatchError, Mutant, every
from tests.mutants.run import CannotTryError, Result, Runner

ROOT = FOLDER.parent.parent
MODULE = "def double(x):\n    return 2 * x\n\n\ndef half(x):\n    return x / 2\n"
TESTS = "from module import double\n\n\ndef test_two():\n    assert double(2) == 4\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A project of one module and one test."""
    (tmp_path / "module.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_module.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n", encoding="utf-8")
    return tmp_path


def mutant(folder: Path, name: str, before: str, after: str) -> Mutant:
    head = "A law | test_module.py\n--- a/module.py\n+++ b/module.py\n@@\n"
    path = folder / f"{name}.patch"
    path.write_text(f"{head}-{before}\n+{after}\n", encoding="utf-8")
    return Mutant.read(path)


def tried(checkout: Path, *mutants: Mutant, seconds: float = 300) -> list[Result]:
    runner = Runner(root=checkout, fast=["tests"], seconds=seconds, side_by_side=1)
    return list(runner.results(mutants, green=["tests"]))


def test_each_fits_the_code_and_names_tests_that_are_there() -> None:
    bad = []
    for one in every():
        for hunk in one.hunks:
            found = (ROOT / hunk.file).read_text(encoding="utf-8").count(hunk.before)
            bad += [] if found == 1 else [f"{one.name}: fits {found} times"]
        bad += [f"{one.name}: no {test}" for test in one.tests if not (ROOT / test).exists()]
    assert bad == []


def test_one_that_a_test_notices_is_killed_by_it(checkout: Path) -> None:
    wrong = mutant(checkout, "wrong", "    return 2 * x", "    return 3 * x")
    unseen = mutant(checkout, "unseen", "    return x / 2", "    return x / 3")
    first, second = tried(checkout, wrong, unseen)
    assert first.killed_by == "tests/test_module.py::test_two"
    assert (second.killed_by, second.trouble) == ("", "")
    assert str(second).startswith("SURVIVED  unseen")
    assert (checkout / "module.py").read_text(encoding="utf-8") == MODULE


def test_one_that_hangs_is_killed_by_time(checkout: Path) -> None:
    endless = mutant(checkout, "endless", "    return 2 * x", "    while True: pass")
    assert [one.killed_by for one in tried(checkout, endless, seconds=15)] == ["time-out"]


def test_one_that_fits_no_more_is_not_passed_over(checkout: Path) -> None:
    stale = mutant(checkout, "stale", "    return 4 * x", "    return 5 * x")
    [result] = tried(checkout, stale)
    assert "0 times" in result.trouble
    assert str(result).startswith("NOT TRIED")


def test_red_tests_prove_nothing(checkout: Path) -> None:
    wrong = mutant(checkout, "wrong", "    return 2 * x", "    return 3 * x")
    wrong.apply(checkout)
    with pytest.raises(CannotTryError, match="without any mutation"):
        tried(checkout, wrong)


def test_a_patch_says_which_law_it_breaks(tmp_path: Path) -> None:
    path = tmp_path / "mute.patch"
    path.write_text("--- a/x.py\n+++ b/x.py\n@@\n-a\n+b\n", encoding="utf-8")
    with pytest.raises(BadPatchError, match="law"):
        Mutant.read(path)
