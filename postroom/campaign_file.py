"""The campaign file: TOML as its author wrote it, with the templates beside it."""

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec

from postroom.errors import BadInputError
from postroom.model import Campaign, Lane, OnAmbiguous, OnFinish, SenderName


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a campaign file with their types. All but three may be left out."""

    name: str
    sender: SenderName
    subject: str
    html: str | None = None
    html_file: str | None = None
    text: str | None = None
    text_file: str | None = None
    headers: dict[str, str] = {}
    tags: dict[str, str] = {}
    defaults: dict[str, Any] = {}
    keep_blank: list[str] = []
    unsubscribe_url: str | None = None
    send_at: datetime | None = None
    not_after: datetime | None = None
    on_ambiguous: OnAmbiguous | None = None
    batch_size: int | None = None
    lane: Lane | None = None
    weight: float | None = None
    on_finish: OnFinish | None = None


_KEYS: Final = [key.name for key in msgspec.structs.fields(_File)]
_TIMES: Final = ("send_at", "not_after")
_TEMPLATES: Final = ("html", "text")
_MISSING: Final = re.compile(r"missing required field `(\w+)`")
_HINTS: Final = (
    ("Invalid value", 'strings want quotes, like sender = "news"'),
    ("Expected '=' after a key", 'a line is a key and its value, like sender = "news"'),
    ("Illegal character '\\n'", 'a text of several lines stands in """ … """'),
    ("Expected newline or end of document", "quotes within quotes: put the outer ones as ' … '"),
    ("Unterminated string", "a quote is never closed"),
    ("Cannot overwrite a value", "a key is given twice"),
)
"""What people mean by what tomllib cannot read."""
_CHOICES: Final = {"on_ambiguous": ", ".join(OnAmbiguous), "lane": ", ".join(Lane)}


def read(path: Path) -> Campaign:
    """Read a campaign file. Raises `BadInputError` with the file, the key and what is wrong."""
    try:
        table = tomllib.loads(_text(path))
        _check_keys(table)
        _check_times(table)
        checked = msgspec.convert(table, _File)
        return _campaign(table, checked, path.parent)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        hint = next((f": {hint}" for words, hint in _HINTS if words in said), "")
        raise BadInputError(f"{path}: {said}{hint}") from None
    except msgspec.ValidationError as error:
        raise BadInputError(f"{path}: {_where(error)}") from None
    except _KeyedError as error:
        raise BadInputError(f"{path}: {error}") from None


class _KeyedError(Exception):
    """What is wrong with which key; `read` adds the file."""


def _campaign(table: Mapping[str, Any], checked: _File, folder: Path) -> Campaign:
    given = {key: getattr(checked, key) for key in table if not key.endswith("_file")}
    for kind in _TEMPLATES:
        name = getattr(checked, f"{kind}_file")
        if name is None:
            continue
        if kind in given:
            raise _KeyedError(f"{kind} and {kind}_file: give one of the two")
        given[kind] = _template(f"{kind}_file", folder / name)
    return Campaign(**given)


def _check_keys(table: Mapping[str, Any]) -> None:
    for key in table:
        if key not in _KEYS:
            near = get_close_matches(key, _KEYS, n=1)
            raise _KeyedError(
                f"{key}: no such key" + (f"; did you mean {near[0]}?" if near else "")
            )


def _check_times(table: Mapping[str, Any]) -> None:
    for key in _TIMES:
        given = table.get(key)
        if given is None or (isinstance(given, datetime) and given.tzinfo is not None):
            continue
        if isinstance(given, date):
            raise _KeyedError(
                f"{key}: {given} has no offset from UTC; write 2026-12-24T18:00:00Z or "
                "2026-12-24T18:00:00+01:00"
            )
        raise _KeyedError(f"{key}: write a date and time without quotes: 2026-12-24T18:00:00Z")


def _template(key: str, path: Path) -> str:
    try:
        return _text(path)
    except BadInputError as error:
        raise _KeyedError(f"{key}: {error}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not UTF-8 (byte {error.start})") from None


def _where(error: msgspec.ValidationError) -> str:
    """Turn msgspec's "… - at `$.key`" round, so that the key comes first."""
    what, _, where = str(error).partition(" - at `$.")
    key = where.rstrip("`")
    if missing := _MISSING.search(what):
        return f"{missing[1]}: it is missing"
    if key in _CHOICES and what.startswith("Invalid enum value"):
        return f"{key}: {what.removeprefix('Invalid enum value ')} is none of {_CHOICES[key]}"
    return f"{key}: {what[:1].lower()}{what[1:]}" if key else what
