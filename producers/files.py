"""Which files and objects a producer may read for a submitter, and opening such a file safely."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from postroom.errors import UnreadableSourceError

_FOLDER: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Without waiting: a pipe that nobody writes to would be waited for without end."""


def open_below(folder: str, path: Path) -> int:
    """Open a regular file in a folder; returns its descriptor. Links may lead about inside.

    The path is resolved once and then walked without following a link, so whatever is changed
    meanwhile leads nowhere else. Raises `UnreadableSourceError`.
    """
    if not folder:
        raise UnreadableSourceError(f"{path}: no file may be read (producer.source_folder is '')")
    try:
        root = Path(folder).resolve(strict=True)
        inside = path.resolve().relative_to(root)
        return _regular(_walked(root, inside), path)
    except OSError as error:
        raise UnreadableSourceError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RuntimeError):  # Also a NUL in the path, and links in a circle.
        raise UnreadableSourceError(f"{path}: not in {folder} (producer.source_folder)") from None


def check_object(buckets: Sequence[str], bucket: str, key: str) -> None:
    """Check that an object is in one of `bucket` or `bucket/prefix/`, by whole path segments.

    Raises `UnreadableSourceError`.
    """
    *above, name = key.split("/")
    for allowed in buckets:
        allowed_bucket, *prefix = allowed.removesuffix("/").split("/")
        # `..` means nothing to S3, but to what stands before it, it may.
        inside = above[: len(prefix)] == prefix and not {".", ".."} & {*above, name}
        if bucket == allowed_bucket and (inside or not prefix):
            return
    raise UnreadableSourceError(f"s3://{bucket}/{key}: not in producer.source_buckets")


def _walked(root: Path, inside: Path) -> int:
    at = os.open(root, _FOLDER)
    for part in inside.parts[:-1]:
        at = _opened(part, _FOLDER, at)
    return _opened(inside.name or ".", _FILE, at)


def _opened(name: str, flags: int, folder: int) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    finally:
        os.close(folder)


def _regular(file: int, path: Path) -> int:
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise UnreadableSourceError(f"{path}: not a file")
