"""The examples of a page of documentation, found by their heading."""

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs"


def examples(page: str, heading: str) -> list[str]:
    """Return the Python under one heading, in its order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#{{2,3}} |\Z)", text, re.S | re.M)
    assert found, f"docs/{page} has no heading {heading!r}"
    return re.findall(r"```py(?:thon)?\n(.*?)```", found[1], re.S)


def headings(page: str) -> list[str]:
    """Return the headings under which there is Python."""
    text = (DOCS / page).read_text(encoding="utf-8")
    named: list[str] = re.findall(r"^#{2,3} (.+)$", text, re.M)
    return [one for one in named if examples(page, one)]
