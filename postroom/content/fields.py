"""Which merge fields a campaign's templates use, and what it is to lack one.

A blank value says nothing: who has one lacks the field. Unless the campaign wants it blank
(`keep_blank`), or a template asks for it and no default is given: `{% if company %}`.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from jinja2 import meta, nodes

from postroom.content.sandbox import EMAIL, GLOBALS, UNSUBSCRIBE_URL, parsed, sources
from postroom.model import Campaign, Recipient


class Fields(NamedTuple):
    """Of one campaign."""

    required: frozenset[str]
    """Without one of these no mail can be made.

    A field is not required when it has a default in the campaign, when each use of it goes
    through the `default` filter, or when some template asks whether it `is defined`.
    """
    blank_lacks: frozenset[str]
    """Who has one of these blank lacks it."""
    where: Mapping[str, str] = MappingProxyType({})
    """For each that is required, the part of the campaign that names it first, and the line."""


NONE: Final = Fields(frozenset(), frozenset())


def fields_of(campaign: Campaign) -> Fields:
    """Return what the templates of a campaign, which compile, need of each recipient."""
    required: dict[str, str] = {}
    used: set[str] = set(campaign.defaults)
    asked: set[str] = set()
    for part, source in sources(campaign):
        tree = parsed(part, source)
        given = {EMAIL} if part == UNSUBSCRIBE_URL else {EMAIL, UNSUBSCRIBE_URL}
        lines = {name.name: name.lineno for name in reversed(list(tree.find_all(nodes.Name)))}
        for name in sorted(_names(tree) - given - required.keys()):
            required[name] = f"{part}, line {lines[name]}"
        used |= meta.find_undeclared_variables(tree) - given - GLOBALS
        asked |= set(_asked(tree))
    asked -= set(campaign.defaults)
    return Fields(
        frozenset(required.keys() - campaign.defaults.keys()),
        frozenset(used - asked - set(campaign.keep_blank)),
        required,
    )


def names_of(campaign: Campaign) -> frozenset[str]:
    """Return every name that the templates use or a default is given for."""
    trees = (parsed(part, source) for part, source in sources(campaign))
    used = {name for tree in trees for name in meta.find_undeclared_variables(tree)}
    return frozenset((used | set(campaign.defaults)) - GLOBALS)


def filled(recipient: Recipient, fields: Fields) -> Recipient:
    """Return a recipient without what it has blank, where that is to lack it, and without nulls."""
    kept = {
        name: value
        for name, value in recipient.fields.items()
        if value is not None and not (name in fields.blank_lacks and is_blank(value))
    }
    return Recipient(recipient.email, kept)


def is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _names(tree: nodes.Template) -> set[str]:
    """Return the names a template needs from outside."""
    guarded: set[int] = set()
    asked: set[str] = set()
    for node in tree.find_all((nodes.Test, nodes.Filter)):
        if not isinstance(node.node, nodes.Name):
            continue
        if node.name in {"defined", "undefined"}:
            asked.add(node.node.name)
        elif node.name in {"default", "d"}:
            guarded.add(id(node.node))
    uses = {name.name for name in tree.find_all(nodes.Name) if id(name) not in guarded}
    return (set(meta.find_undeclared_variables(tree)) & uses) - asked - GLOBALS


def _asked(tree: nodes.Template) -> Iterator[str]:
    """Yield the names in conditions: their author has thought of what is blank."""
    for condition in tree.find_all(nodes.If):
        yield from _within(condition.test)
    for choice in tree.find_all(nodes.CondExpr):
        yield from _within(choice.test)
    for either in (*tree.find_all(nodes.Or), *tree.find_all(nodes.And)):
        yield from _within(either.left)


def _within(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Name):
        yield node.name
    yield from (name.name for name in node.find_all(nodes.Name))
