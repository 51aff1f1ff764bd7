"""The code of worker, producer and simulator, made importable for as long as a test needs it.

The wheel carries it in a folder of its own and not at the top: such names would collide with
those of a service.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from postroom.localstack.program import LocalStackError
from postroom.localstack.stack import processes

_PACKAGES: Final = ("worker", "producers", "simulator")


@contextmanager
def importable() -> Iterator[Path]:
    """Put the folder first on `sys.path`; yield it.

    Raises `LocalStackError` when the service has a package of such a name itself.
    """
    folder = processes()
    for name in _PACKAGES:
        if (own := _elsewhere(name, folder)) is not None:
            raise LocalStackError(
                f"this service has a package `{name}` itself ({own}), as Postroom's processes "
                "have: use the fixture postroom_stack, which runs them in processes of their own"
            )
    sys.path.insert(0, str(folder))
    try:
        yield folder
    finally:
        sys.path.remove(str(folder))


def _elsewhere(name: str, folder: Path) -> Path | None:
    """Return where a package of this name is found now, unless it is ours."""
    spec = find_spec(name)
    if spec is None:
        return None
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    found = [Path(place).resolve() for place in places]
    return next((one for one in found if folder.resolve() not in one.parents), None)
