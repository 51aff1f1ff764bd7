"""The Jinja2 sandbox that templates live in, and how a merge field looks in each part of a mail.

Imports jinja2, `errors` and `model` only.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape

from postroom.errors import BadInputError
from postroom.model import Campaign

SUBJECT: Final = "subject"
HTML: Final = "html"
TEXT: Final = "text"
UNSUBSCRIBE_URL: Final = "unsubscribe_url"
EMAIL: Final = "email"
BODY_PARTS: Final = (SUBJECT, HTML, TEXT)

_LONGEST_RANGE: Final = 1_000
_LARGEST_PRODUCT: Final = 1_000_000
_MISREAD_BY_SES: Final = ("{{", "}}", "{%", "%}", "{#", "#}", "{\0", "\0}", "\\\0")
_BREAK: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
# One class, so that each run is looked at once: blanks around the breaks as `\s*` cost n².
_BLANKS: Final = re.compile(r"[\s\x00-\x1f\x7f\x85\u2028\u2029]+")


_TEMPLATES_KEPT: Final = 256
_TREES_KEPT: Final = 8
"""One campaign's, while it is looked at from several sides; a tree is much larger than its text."""

_HINTS: Final = (
    ("expected token 'end of print statement', got", "a field is one word, like first_name"),
    ("unexpected char '#'", "a condition is {% if field %} … {% endif %}"),
    ("unexpected '/'", "a condition is {% if field %} … {% endif %}"),
    *(
        (f"unexpected char {quote!r}", "quotes within {{ }} are straight ones")
        for quote in "\u201c\u201d\u201e\u2018\u2019"
    ),
    ("expected token ':', got '}'", "a field has two braces on either side: {{ first_name }}"),
)
"""What people mean by what Jinja2 cannot read."""


class Field(NamedTuple):
    """The place of one merge field in a template of plain placeholders."""

    name: str


def shown(value: object) -> str:
    """How a merge field appears in text: null is empty, all else as Python writes it."""
    # A str is passed on as it is: it may be Markup, which is not escaped again.
    return value if isinstance(value, str) else "" if value is None else str(value)


def shown_on_one_line(value: object) -> str:
    """How a merge field appears in a subject: line breaks and controls become one space."""
    text = shown(value)
    return text if text.isprintable() else _BLANKS.sub(_one_blank, text)


def _one_blank(run: re.Match[str]) -> str:
    return " " if _BREAK.search(run[0]) else run[0]


def shown_in_url(value: object) -> str:
    """How a merge field appears in the unsubscribe URL: percent-encoded."""
    return quote(shown(value), safe="")


def escaped(value: object) -> str:
    """How a merge field appears in HTML."""
    return str.__str__(escape(shown(value)))  # Plain text: the JSON encoder refuses Markup.


SHOW: Final[Mapping[str, Callable[[object], str]]] = {
    SUBJECT: shown_on_one_line,
    HTML: escaped,
    TEXT: shown,
}
"""How a merge field appears in each part of the body."""


def _short_range(*bounds: int) -> range:
    counted = range(*bounds)
    if len(counted) > _LONGEST_RANGE:
        raise SecurityError(f"a range of more than {_LONGEST_RANGE}")
    return counted


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 without files, without changes to lists and tables, and with a bound on what one
    expression can make.

    A default is shared by all recipients: who could change it would write into others' mail.

    It keeps a template from doing harm by mistake. Loops within loops still take their time:
    whoever writes campaigns is trusted with that.
    """

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, finalize: Callable[[object], str], *, autoescape: bool = False) -> None:
        super().__init__(undefined=StrictUndefined, finalize=finalize, autoescape=autoescape)
        del self.globals["lipsum"]  # Makes any amount of text from a few characters.
        self.globals["range"] = _short_range

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and not (abs(left) < 1000 and abs(right) < 100):
            raise SecurityError("too large a power")
        if operator == "%" and isinstance(left, str):
            raise SecurityError("formatting with %")
        if operator == "*" and (hasattr(left, "__len__") or hasattr(right, "__len__")):
            sizes = [len(one) if hasattr(one, "__len__") else abs(one) for one in (left, right)]
            if sizes[0] * sizes[1] > _LARGEST_PRODUCT:
                raise SecurityError("too long a repetition")
        return super().call_binop(context, operator, left, right)


def _url_environment() -> _Sandbox:
    environment = _Sandbox(shown_in_url)
    environment.filters["urlencode"] = shown  # Every value is encoded anyway, and only once.
    return environment


_ENVIRONMENTS: Final[Mapping[str, _Sandbox]] = {
    SUBJECT: _Sandbox(shown_on_one_line),
    HTML: _Sandbox(shown, autoescape=True),
    TEXT: _Sandbox(shown),
    UNSUBSCRIBE_URL: _url_environment(),
}

GLOBALS: Final = frozenset(_ENVIRONMENTS[TEXT].globals)
"""What templates may call without anybody handing it in."""


@lru_cache(maxsize=_TEMPLATES_KEPT)
def compiled(part: str, source: str) -> Template:
    """Raises `BadInputError` naming the part and the line. Kept: many messages have the same."""
    with _told(part):
        return _ENVIRONMENTS[part].from_string(parsed(part, source))


@lru_cache(maxsize=_TREES_KEPT)
def parsed(part: str, source: str) -> nodes.Template:
    """Return the syntax tree of a template, to be looked at only. Raises as `compiled` does."""
    with _told(part):
        return _ENVIRONMENTS[part].parse(source)


@contextmanager
def _told(part: str) -> Iterator[None]:
    try:
        yield
    except TemplateSyntaxError as error:
        said = error.message or ""
        hint = next((f": {hint}" for words, hint in _HINTS if words in said), "")
        raise BadInputError(f"{part}, line {error.lineno}: {said}{hint}") from None
    except (RecursionError, MemoryError):
        raise BadInputError(f"{part}, line 1: too deeply nested") from None


@lru_cache(maxsize=_TEMPLATES_KEPT)
def plain_placeholders(part: str, source: str) -> tuple[str | Field, ...] | None:
    """Return literals and fields in turn, or None when the template holds more than these.

    None as well when a literal, or where it meets a placeholder, could be taken for a
    placeholder by SES's own substitution. Raises as `compiled` does.
    """
    pieces: list[str | Field] = []
    for node in parsed(part, source).body:
        if not isinstance(node, nodes.Output):
            return None
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData):
                pieces.append(child.data)
            elif isinstance(child, nodes.Name) and child.name not in GLOBALS:
                pieces.append(Field(child.name))
            else:
                return None
    spread = "".join(piece if isinstance(piece, str) else "\0" for piece in pieces)
    return None if any(one in spread for one in _MISREAD_BY_SES) else tuple(pieces)


def sources(campaign: Campaign) -> Iterator[tuple[str, str]]:
    """Yield every template of a campaign with its part."""
    for part in (*BODY_PARTS, UNSUBSCRIBE_URL):
        source = getattr(campaign, part)
        if source is not None:
            yield part, source
