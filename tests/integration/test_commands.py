"""The commands of the checkout itself, over a `make` that only tells what it sees."""

import subprocess
from pathlib import Path

from postroom import settings

ROOT = Path(__file__).parent.parent.parent
HERE = settings.environment()

SEES = """#!/bin/sh
echo "make $*"
for each in redis-server redis-server-7.2 valkey-server celery git sh; do
    command -v $each >/dev/null && echo "$each is there"
done
exit 3
"""


def program(path: Path, text: str = "#!/bin/sh\n") -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def test_ci_runs_make_test_and_shows_it_no_server_that_somebody_installed(tmp_path: Path) -> None:
    """A suite that leans on one would be green there, and red on a newcomer's machine."""
    program(tmp_path / "make", SEES)
    for name in ("redis-server", "redis-server-7.2", "valkey-server", "celery", "git"):
        program(tmp_path / name)
    environ = {**HERE, "PATH": f"{tmp_path}:{HERE['PATH']}"}
    run = subprocess.run(  # noqa: PLW1510 - it ends with what `make` ended with
        [ROOT / ".ci" / "run"], env=environ, capture_output=True, text=True
    )
    assert run.stdout.splitlines() == ["make test", "git is there", "sh is there"]
    assert run.returncode == 3
