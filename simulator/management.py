"""What the management operations do: account, identities, suppression, configuration sets."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from simulator.answer import Answer, Ask
from simulator.errors import constraint, malformed
from simulator.identities import described, dkim
from simulator.message import Json, as_object, member, text, texts
from simulator.suppression import Suppressed
from simulator.world import World

_DONE: Final = Answer({})
_PAGE_SIZE: Final = 1000


def get_account(world: World, ask: Ask) -> Answer:
    return Answer(ask.account.described(world.clock()))


def put_account_sending(world: World, ask: Ask) -> Answer:
    world.set_values(sending_enabled=_flag(as_object(ask.body), "SendingEnabled"))
    return _DONE


def put_account_suppression(_: World, ask: Ask) -> Answer:
    ask.account.suppressed_reasons = texts(as_object(ask.body), "SuppressedReasons")
    return _DONE


def create_identity(world: World, ask: Ask) -> Answer:
    root = as_object(ask.body)
    name = _required(root, "EmailIdentity")
    made = world.identities.create(name, text(root, "ConfigurationSetName") or "")
    return Answer(
        {
            "IdentityType": made.kind,
            "VerifiedForSendingStatus": made.verified,
            "DkimAttributes": dkim(made),
        }
    )


def get_identity(world: World, ask: Ask) -> Answer:
    return Answer(described(world.identities.get(ask.path["name"])))


def delete_identity(world: World, ask: Ask) -> Answer:
    world.identities.delete(ask.path["name"])
    return _DONE


def list_identities(world: World, _: Ask) -> Answer:
    found = [
        {
            "IdentityType": one.kind,
            "IdentityName": one.name,
            "SendingEnabled": one.verified,
            "VerificationStatus": one.verification_status,
        }
        for one in world.identities.all()
    ]
    return Answer({"EmailIdentities": found})


def put_suppressed(world: World, ask: Ask) -> Answer:
    root = as_object(ask.body)
    reason = _required(root, "Reason")
    world.suppression.put(_required(root, "EmailAddress"), reason, world.clock())
    return _DONE


def get_suppressed(world: World, ask: Ask) -> Answer:
    return Answer({"SuppressedDestination": _suppressed(world.suppression.get(ask.path["name"]))})


def delete_suppressed(world: World, ask: Ask) -> Answer:
    world.suppression.delete(ask.path["name"])
    return _DONE


def list_suppressed(world: World, ask: Ask) -> Answer:
    query = ask.query
    found, following = world.suppression.page(
        query.get("Reason", []),
        since=_moment(query, "StartDate", 0.0),
        until=_moment(query, "EndDate", float("inf")),
        token=query.get("NextToken", [""])[0],
        size=int(query.get("PageSize", [str(_PAGE_SIZE)])[0]),
    )
    page: dict[str, object] = {"SuppressedDestinationSummaries": [_suppressed(o) for o in found]}
    return Answer(page | ({"NextToken": following} if following else {}))


def _suppressed(one: Suppressed) -> Mapping[str, object]:
    return {"EmailAddress": one.address, "Reason": one.reason, "LastUpdateTime": one.at}


def create_set(world: World, ask: Ask) -> Answer:
    world.sets.create(as_object(ask.body))
    return _DONE


def get_set(world: World, ask: Ask) -> Answer:
    return Answer(world.sets.get(ask.path["name"]))


def delete_set(world: World, ask: Ask) -> Answer:
    world.sets.delete(ask.path["name"])
    return _DONE


def list_sets(world: World, _: Ask) -> Answer:
    return Answer({"ConfigurationSets": world.sets.names()})


def put_set_sending(world: World, ask: Ask) -> Answer:
    enabled = _flag(as_object(ask.body), "SendingEnabled")
    world.sets.put_sending(ask.path["name"], enabled=enabled)
    return _DONE


def get_destinations(world: World, ask: Ask) -> Answer:
    return Answer({"EventDestinations": world.sets.destinations(ask.path["name"])})


def create_destination(world: World, ask: Ask) -> Answer:
    root = as_object(ask.body)
    name = _required(root, "EventDestinationName")
    world.sets.put_destination(ask.path["name"], name, member(root, "EventDestination"))
    return _DONE


def update_destination(world: World, ask: Ask) -> Answer:
    about = member(as_object(ask.body), "EventDestination")
    world.sets.put_destination(ask.path["name"], ask.path["destination"], about)
    return _DONE


def delete_destination(world: World, ask: Ask) -> Answer:
    world.sets.delete_destination(ask.path["name"], ask.path["destination"])
    return _DONE


def _required(of: Json, name: str) -> str:
    value = text(of, name)
    if not value:
        raise constraint(name[0].lower() + name[1:], "Member must not be null")
    return value


def _flag(of: Json, name: str) -> bool:
    value = of.get(name, False)
    if not isinstance(value, bool):
        raise malformed(name)
    return value


def _moment(query: Mapping[str, list[str]], name: str, otherwise: float) -> float:
    """Unix seconds; the wire has ISO 8601 here, unlike in JSON bodies."""
    given = query.get(name)
    if not given:
        return otherwise
    try:
        return datetime.fromisoformat(given[0]).timestamp()
    except ValueError:
        raise malformed(name) from None
