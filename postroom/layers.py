"""Settings as they lie over each other: which file or variable had the last word on each."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from postroom.errors import BadInputError

_LONGEST = 300


class Layer(NamedTuple):
    """Settings of one origin, as nested tables."""

    origin: str
    """A file, or an environment variable."""
    tree: Mapping[str, Any]


def of_file(path: Path) -> Layer:
    """Read a TOML file. Raises `BadInputError`."""
    try:
        return Layer(str(path), tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInputError(f"settings file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"settings file {path}: {error}") from None


def of_variables(environ: Mapping[str, str]) -> Iterator[Layer]:
    """Yield what POSTROOM_REDIS_URL and each POSTROOM_<SECTION>__<KEY> sets."""
    if url := environ.get("POSTROOM_REDIS_URL"):
        yield Layer("POSTROOM_REDIS_URL", {"redis": {"url": url}})
    for variable, value in environ.items():
        if variable.startswith("POSTROOM_") and "__" in variable:
            tree: Any = value
            for name in reversed(variable.removeprefix("POSTROOM_").lower().split("__")):
                tree = {name: tree}
            yield Layer(variable, tree)


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    laid = dict(below)
    for key, value in above.items():
        under = laid.get(key, {})
        both = isinstance(value, Mapping) and isinstance(under, Mapping)
        laid[key] = laid_over(under, value) if both else value
    return laid


def refusal(layers: Sequence[Layer], name: str, words: str) -> BadInputError:
    """Return the error for one setting: where it was set, and in one line what is wrong."""
    origin = next((one.origin for one in reversed(layers) if _has(one.tree, name)), "")
    said = f"settings: {name}{f' ({origin})' if origin else ''} {words}"
    shown = "".join(one if one.isprintable() else "?" for one in said)
    return BadInputError(shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…")


def _has(tree: object, name: str) -> bool:
    for part in name.split("."):
        if not isinstance(tree, Mapping) or part not in tree:
            return False
        tree = tree[part]
    return True
