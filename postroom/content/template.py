"""A campaign's templates: checked when it is submitted, rendered per recipient. What is made of
a template is kept by its content, for all campaigns and messages with the same.

HTML is auto-escaped, text and subject are not. A field that a recipient lacks and that has no
default is an error, never an empty place in a mail.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from jinja2 import Template, UndefinedError, nodes

from postroom.content.sandbox import (
    BODY_PARTS,
    EMAIL,
    SHOW,
    UNSUBSCRIBE_URL,
    Field,
    compiled,
    parsed,
    plain_placeholders,
    shown,
    shown_in_url,
    sources,
)
from postroom.errors import BadInputError, PostroomError
from postroom.model import Campaign, Recipient

MAX_URL_CHARACTERS: Final = 900

_HTTPS_URL: Final = re.compile(r"https://[!-.0-;=@-~]+[!-;=?-~]*")
_UNDEFINED_NAME: Final = re.compile(r"'(\w+)' is undefined")

Values = Mapping[str, Any]
Headers = tuple[tuple[str, str], ...]


class UnrenderableError(PostroomError):
    """No mail can be made for a recipient: reject it. The text never shows the address."""


class RenderedMail(NamedTuple):
    """The rendered mail."""

    subject: str
    html: str | None
    text: str | None
    headers: Headers


def check(campaign: Campaign) -> None:
    """Raise `BadInputError` naming the part and line of the first template that cannot be used."""
    if not (campaign.html or campaign.text):
        raise BadInputError("campaign: it needs an html or a text part")
    for part, source in sources(campaign):
        tree = parsed(part, source)
        if plain_placeholders(part, source) is None:
            compiled(part, source)  # Unknown filters and tests are only found by compiling.
        for banned in tree.find_all((nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)):
            raise BadInputError(f"{part}, line {banned.lineno}: templates cannot load other files")
        if part in BODY_PARTS and not campaign.unsubscribe_url:
            _refuse_unsubscribe_url(part, tree)
    if len(campaign.subject.splitlines()) > 1:
        raise BadInputError("subject, line 1: a subject has one line only")
    if campaign.unsubscribe_url:
        _check_url(campaign.unsubscribe_url)


class Templates:
    """One campaign's templates, compiled once; safe to share between threads."""

    def __init__(self, campaign: Campaign) -> None:
        """Raises `BadInputError` as `check` does."""
        check(campaign)
        self.headers = _constant_headers(campaign)
        self._defaults = dict(campaign.defaults)
        self._parts = {
            part: _writer(part, source) for part, source in sources(campaign) if part in BODY_PARTS
        }
        self._url = _url_writer(campaign.unsubscribe_url)

    def values(self, recipient: Recipient) -> dict[str, Any]:
        """Return all that the templates may name. Raises `UnrenderableError`."""
        values = {**self._defaults, **recipient.fields, EMAIL: recipient.email}
        if self._url is not None:
            values[UNSUBSCRIBE_URL] = self._url(values)
        return values

    def own_headers(self, values: Values) -> Headers:
        """Return the headers that differ from recipient to recipient."""
        if self._url is None:
            return ()
        return (("List-Unsubscribe", f"<{values[UNSUBSCRIBE_URL]}>"),)

    def message(self, values: Values) -> RenderedMail:
        """Return the mail for the `values` of one recipient. Raises `UnrenderableError`."""
        subject, html, text = (self._rendered(part, values) for part in BODY_PARTS)
        return RenderedMail(subject or "", html, text, self.headers + self.own_headers(values))

    def _rendered(self, part: str, values: Values) -> str | None:
        write = self._parts.get(part)
        return None if write is None else write(values)


def missing_field(part: str, name: str) -> UnrenderableError:
    return UnrenderableError(f"{part}: the recipient lacks the field {name!r}")


def _constant_headers(campaign: Campaign) -> Headers:
    if not campaign.unsubscribe_url:
        return tuple(campaign.headers.items())
    ours = {"list-unsubscribe", "list-unsubscribe-post"}
    kept = tuple(pair for pair in campaign.headers.items() if pair[0].lower() not in ours)
    return (*kept, ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))


def _writer(part: str, source: str) -> Callable[[Values], str]:
    """Return what renders a part. Plain placeholders need no code: to compile it costs 10 ms."""
    plain = plain_placeholders(part, source)
    if plain is None:
        template = compiled(part, source)
        return lambda values: _rendered(part, template, values)
    return lambda values: _joined(part, plain, values)


def _joined(part: str, pieces: tuple[str | Field, ...], values: Values) -> str:
    show = SHOW[part]
    try:
        return "".join(
            show(values[piece.name]) if isinstance(piece, Field) else piece for piece in pieces
        )
    except KeyError as missing:
        raise missing_field(part, missing.args[0]) from None


def _url_writer(source: str | None) -> Callable[[Values], str] | None:
    if not source:
        return None
    plain = plain_placeholders(UNSUBSCRIBE_URL, source.strip())
    if plain is None:
        template = compiled(UNSUBSCRIBE_URL, source)
        return lambda values: _checked_url(_rendered(UNSUBSCRIBE_URL, template, values))
    if _is_one_field(plain):
        name = plain[0][0]  # The field is the whole URL: to encode it would break it.
        return lambda values: _checked_url(shown(_field(values, name)))
    return lambda values: _checked_url(_filled(plain, values))


def _is_one_field(plain: tuple[str | Field, ...]) -> bool:
    return len(plain) == 1 and isinstance(plain[0], Field)


def _filled(pieces: tuple[str | Field, ...], values: Values) -> str:
    return "".join(
        shown_in_url(_field(values, piece.name)) if isinstance(piece, Field) else piece
        for piece in pieces
    )


def _field(values: Values, name: str) -> object:
    try:
        return values[name]
    except KeyError:
        raise missing_field(UNSUBSCRIBE_URL, name) from None


def _checked_url(text: str) -> str:
    url = text.strip()
    if len(url) > MAX_URL_CHARACTERS:
        raise UnrenderableError(f"unsubscribe_url: longer than {MAX_URL_CHARACTERS} characters")
    if not _HTTPS_URL.fullmatch(url):
        raise UnrenderableError("unsubscribe_url: not an https URL in printable ASCII")
    return url


def _check_url(source: str) -> None:
    plain = plain_placeholders(UNSUBSCRIBE_URL, source.strip())
    if plain is None or _is_one_field(plain):
        return
    try:
        _checked_url("".join("x" if isinstance(piece, Field) else piece for piece in plain))
    except UnrenderableError as error:
        said = str(error).removeprefix(f"{UNSUBSCRIBE_URL}: ")
        raise BadInputError(f"{UNSUBSCRIBE_URL}, line 1: {said}") from None


def _refuse_unsubscribe_url(part: str, tree: nodes.Template) -> None:
    for name in tree.find_all(nodes.Name):
        if name.name == UNSUBSCRIBE_URL and name.ctx == "load":
            raise BadInputError(
                f"{part}, line {name.lineno}: unsubscribe_url is used, but the campaign sets none"
                ' (if it is a column: unsubscribe_url = "{{ unsubscribe_url }}")'
            )


def _rendered(part: str, template: Template, values: Values) -> str:
    try:
        return template.render(values)
    except UndefinedError as error:
        found = _UNDEFINED_NAME.fullmatch(error.message or "")
        if found:
            raise missing_field(part, found[1]) from None
        raise UnrenderableError(f"{part}: it asks for something a field does not have") from None
    except Exception as error:  # noqa: BLE001 - a template may raise anything
        # Its text may hold the recipient's values.
        raise UnrenderableError(f"{part}: {type(error).__name__} while rendering") from None
