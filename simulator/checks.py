"""What SES refuses to take because of its form: addresses, headers, tags, sizes, counts."""

import re
from functools import lru_cache
from typing import Final

from simulator.errors import Refusal, SesError, Status, bad_request, constraint, not_found
from simulator.message import Call, Entry, Pair, Template

MAX_RECIPIENTS: Final = 50
MAX_ENTRIES: Final = 50
MAX_HEADERS: Final = 15
MAX_TEMPLATE_CHARACTERS: Final = 262_144
MAX_MESSAGE_BYTES: Final = 40 * 1024 * 1024

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++"
_PLAIN: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*+@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)*+")
# Stripped before, and the unquoted name takes its blanks itself: `\s*` beside it would cost n².
_NAMED: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*+"\s*+|[^"(),:;<>@\[\\\]]*+)<([^<>]*)>')
_HEADER_NAME: Final = re.compile(r"[!-9;-@A-~]{1,126}")
_HEADER_VALUE: Final = re.compile(r"[ -~]{1,995}")
_TAG: Final = re.compile(r"[A-Za-z0-9_\-]{1,256}")
_TAG_NAMES_WITH_COLON: Final = frozenset({"ses:feedback-id-a", "ses:feedback-id-b"})
_FORBIDDEN_HEADERS: Final = frozenset(
    {
        "bcc",
        "cc",
        "content-disposition",
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "reply-to",
        "return-path",
        "subject",
        "to",
    }
)


class AddressError(ValueError):
    """An address that SES's parser refuses; the message is SES's own wording."""


def bare(address: str) -> str:
    """The address without its display name. Raises `AddressError`."""
    if _PLAIN.fullmatch(address):
        return address
    if not address.isascii():
        raise AddressError("There are non-ASCII characters in the address")
    stripped = address.strip()
    if stripped.endswith(">"):
        named = _NAMED.fullmatch(stripped)
        if named is None:
            raise AddressError("Missing final '@domain'")
        stripped = named[1]
    if not _PLAIN.fullmatch(stripped):
        _check_parts(stripped)
    return stripped


def _check_parts(address: str) -> None:
    local, at, domain = address.rpartition("@")
    if not at:
        raise AddressError("Missing final '@domain'")
    if not local:
        raise AddressError("Missing local name")
    if not domain:
        raise AddressError("Missing domain")
    if not (len(local) > 1 and local[0] == local[-1] == '"'):
        _check_part("Local address", local, illegal='()<>,;:\\"[]@')
    _check_part("Domain", domain, illegal="()<>,;:\\\"[]@!#$%&'*+/=?^_`{|}~")


def _check_part(what: str, part: str, *, illegal: str) -> None:
    if any(one <= " " or one == "\x7f" for one in part):
        raise AddressError(f"{what} contains control or whitespace")
    if any(one in illegal for one in part):
        raise AddressError(f"{what} contains illegal character")
    if ".." in part:
        raise AddressError(f"{what} contains dot-dot")
    if part.startswith("."):
        raise AddressError(f"{what} starts with dot")
    if part.endswith("."):
        raise AddressError(f"{what} ends with dot")


def check_call(call: Call) -> None:
    """Raise what refuses the whole call."""
    if call.operation == "SendBulkEmail":
        if not call.entries:
            raise constraint("bulkEmailEntries", "Member must have length greater than 0")
        if len(call.entries) > MAX_ENTRIES:
            raise constraint(
                "bulkEmailEntries", f"Member must have length less than or equal to {MAX_ENTRIES}"
            )
    try:
        for address in (call.sender, *call.reply_to):
            bare(address)
    except AddressError as refused:
        raise bad_request(str(refused)) from None
    _raise_bad_form(tags_problem(call.tags))
    if isinstance(call.content, Template):
        _check_template(call.content)


def _check_template(template: Template) -> None:
    if template.stored_name is not None:
        raise not_found(f"Template {template.stored_name} does not exist.")
    if not (template.subject and (template.text or template.html)):
        raise bad_request("Template content must have a subject and a text or html part")
    if len(template.data) > MAX_TEMPLATE_CHARACTERS:
        raise template_too_long("defaultContent.template.templateData")
    _raise_bad_form(headers_problem(template.headers))


def check_replacements(call: Call) -> None:
    for entry in call.entries:
        if len(entry.data) > MAX_TEMPLATE_CHARACTERS:
            raise template_too_long("replacementTemplate.replacementTemplateData")


def template_too_long(member: str) -> SesError:
    rule = f"Member must have length less than or equal to {MAX_TEMPLATE_CHARACTERS}"
    return constraint(member, rule)


def _raise_bad_form(problem: str | None) -> None:
    if problem is not None:
        raise bad_request(problem)


def entry_refusal(call: Call, entry: Entry) -> Refusal | None:
    """What refuses one message by its form; its siblings go on."""
    problem = _entry_problem(call, entry)
    return None if problem is None else Refusal(Status.INVALID_PARAMETER, problem)


def _entry_problem(call: Call, entry: Entry) -> str | None:
    problem = _recipients_problem(entry.recipients)
    if problem is None and entry.tags:
        problem = tags_problem(entry.tags)
    if problem is None:
        problem = _entry_headers_problem(call, entry)
    size = call.content.size + len(entry.data)
    if problem is None and size > MAX_MESSAGE_BYTES:
        problem = f"Message length is more than {MAX_MESSAGE_BYTES} bytes long: '{size}'."
    return problem


def _recipients_problem(recipients: tuple[str, ...]) -> str | None:
    if not recipients:
        return "Destination must have at least one recipient."
    if len(recipients) > MAX_RECIPIENTS:
        return f"Recipient count exceeds {MAX_RECIPIENTS}."
    try:
        for address in recipients:
            bare(address)
    except AddressError as refused:
        return str(refused)
    return None


def _entry_headers_problem(call: Call, entry: Entry) -> str | None:
    given = call.content.headers
    if not entry.headers:
        return headers_problem(given) if given else None
    replaced = {pair.name.lower() for pair in entry.headers}
    kept = tuple(pair for pair in given if pair.name.lower() not in replaced)
    return headers_problem(kept + entry.headers)


def headers_problem(headers: tuple[Pair, ...]) -> str | None:
    if len(headers) > MAX_HEADERS:
        return f"Number of headers exceeds {MAX_HEADERS}."
    for name, value in headers:
        if not _is_header_name(name):
            return f"Invalid header name: '{name}'."
        if name.lower() in _FORBIDDEN_HEADERS:
            return f"Header not allowed: '{name}'."
        if not _HEADER_VALUE.fullmatch(value):
            return f"Invalid value of header '{name}'."
        if len(name) + len(value) > 996:
            return f"Header '{name}' is longer than 996 characters."
    return None


@lru_cache(maxsize=256)
def _is_header_name(name: str) -> bool:
    return _HEADER_NAME.fullmatch(name) is not None


def tags_problem(tags: tuple[Pair, ...]) -> str | None:
    for name, value in tags:
        if not (_TAG.fullmatch(name) or name in _TAG_NAMES_WITH_COLON):
            return f"Invalid tag name: '{name}'. Use ASCII letters, digits, '_' and '-'."
        if not _TAG.fullmatch(value):
            return f"Invalid tag value: '{value}'. Use ASCII letters, digits, '_' and '-'."
    return None
