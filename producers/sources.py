"""Where recipients come from: the shipped pages, a file that is shared, or S3. As bytes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

import boto3
import botocore.exceptions
from botocore.config import Config

from postroom.clock import Sleep
from postroom.errors import UnreadableSourceError
from postroom.settings import Producer
from producers.files import check_object, open_below

_CHUNK: Final = 1 << 20
_S3_TRIES: Final = 6
_S3_PAUSE_SECONDS: Final = 1.0
_BROKEN_STREAM: Final = (
    botocore.exceptions.HTTPClientError,
    botocore.exceptions.ReadTimeoutError,
    botocore.exceptions.IncompleteReadError,
    botocore.exceptions.ResponseStreamingError,
)
_S3_WORDS: Final = {
    "NoSuchKey": "there is no such object",
    "404": "there is no such object",
    "NoSuchBucket": "there is no such bucket",
    "AccessDenied": "access is denied",
    "403": "access is denied",
    "PreconditionFailed": "it was replaced while it was read",
    "412": "it was replaced while it was read",
    "InvalidRange": "it became shorter while it was read",
}


class PageStore(Protocol):
    """Where a submitter's pages are."""

    def page(self, number: int) -> bytes | None: ...


def read_pages(store: PageStore, count: int) -> Iterator[bytes]:
    """Yield the pages in order."""
    for number in range(count):
        page = store.page(number)
        if page is None:
            raise UnreadableSourceError(f"page {number} of the recipients is gone; submit again")
        yield page


def read_url(url: str, sleep: Sleep, allowed: Producer) -> Iterator[bytes]:
    """Yield the bytes behind `file:///path` or `s3://bucket/key`, where the settings allow it."""
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc:
        return _read_file(Path(unquote(parts.path)), allowed.source_folder)
    if parts.scheme == "s3":
        # Not unquoted: a key may have a % or a ? of its own.
        key = url.removeprefix(f"s3://{parts.netloc}/")
        check_object(allowed.source_buckets, parts.netloc, key)
        return _read_s3(parts.netloc, key, sleep)
    raise UnreadableSourceError(f"{url}: neither s3:// nor file:///")


def _read_file(path: Path, folder: str) -> Iterator[bytes]:
    try:
        with os.fdopen(open_below(folder, path), "rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise UnreadableSourceError(f"{path}: {error.strerror or error}") from None


def _read_s3(bucket: str, key: str, sleep: Sleep) -> Iterator[bytes]:
    """Yield an object; after a broken connection go on where it broke, in the same version."""
    client = _s3_client()
    position, etag, tries, done = 0, "", 0, False
    while not done:
        try:
            asked = {"Range": f"bytes={position}-", "IfMatch": etag} if position else {}
            answer = client.get_object(Bucket=bucket, Key=key, **asked)
            etag = answer["ETag"]
            for chunk in answer["Body"].iter_chunks(_CHUNK):
                position += len(chunk)
                tries = 0
                yield chunk
            done = True
        except _BROKEN_STREAM as error:
            tries += 1
            if tries >= _S3_TRIES:
                raise _unreadable(bucket, key, error) from None
            sleep(_S3_PAUSE_SECONDS * tries)
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
            raise _unreadable(bucket, key, error) from None


def _unreadable(bucket: str, key: str, error: Exception) -> UnreadableSourceError:
    why = str(error)
    if isinstance(error, botocore.exceptions.ClientError):
        told: dict[str, Any] = dict(error.response.get("Error", {}))
        code = str(told.get("Code", ""))
        why = _S3_WORDS.get(code, f"{code} {told.get('Message') or ''}".strip())
    return UnreadableSourceError(f"s3://{bucket}/{key}: {why}")


def _s3_client() -> Any:
    config = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard"})
    make: Callable[..., Any] = boto3.session.Session().client
    return make("s3", config=config)
