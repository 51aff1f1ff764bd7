"""SendEmail and SendBulkEmail: judge every message, accept or refuse it."""

from collections.abc import Mapping
from itertools import chain

from simulator.account import Account
from simulator.answer import Answer, Ask
from simulator.checks import bare, check_call, check_replacements, entry_refusal
from simulator.errors import (
    Refusal,
    SesError,
    Status,
    as_exception,
    not_verified_text,
    paused,
)
from simulator.identities import is_simulator_address, outside_sandbox
from simulator.mailbox import Mail
from simulator.message import Call, Entry, Raw, bulk_call, email_call, text_of_tag
from simulator.raw import completed
from simulator.world import World


def send_email(world: World, ask: Ask) -> Answer:
    call = email_call(ask.body)
    if isinstance(call.content, Raw):
        call = completed(call, call.content)
    outcome = _Post(world, ask.account, call).take(call.entries[0])
    if isinstance(outcome, Refusal):
        strict = world.settings.quota_as_limit_exceeded
        raise as_exception(outcome, quota_as_limit_exceeded=strict)
    return Answer({"MessageId": outcome}, 1, 1)


def send_bulk_email(world: World, ask: Ask) -> Answer:
    call = bulk_call(ask.body)
    post = _Post(world, ask.account, call)
    check_replacements(call)
    outcomes = [post.take(entry) for entry in call.entries]
    accepted = sum(isinstance(one, str) for one in outcomes)
    results = [_result(one) for one in outcomes]
    return Answer({"BulkEmailEntryResults": results}, len(results), accepted)


def recipients(body: bytes) -> list[str]:
    """Everybody a send call is for, in case a fault asks; nobody when it cannot be read."""
    try:
        call = bulk_call(body) if b'"BulkEmailEntries"' in body else email_call(body)
    except SesError:
        return []
    return list(chain.from_iterable(entry.recipients for entry in call.entries))


def _result(outcome: str | Refusal) -> Mapping[str, object]:
    if isinstance(outcome, str):
        return {"Status": "SUCCESS", "MessageId": outcome}
    if outcome.text is None:
        return {"Status": outcome.status}
    return {"Status": outcome.status, "Error": outcome.text}


class _Post:
    """The counter at which the messages of one call are handed in, at one moment.

    Raises `SesError` when the call as a whole may not send.
    """

    def __init__(self, world: World, account: Account, call: Call) -> None:
        self._world = world
        self._account = account
        self._now = world.clock()
        check_call(call)
        if (trouble := account.standing()) is not None:
            raise trouble
        sender = bare(call.sender)
        set_name = call.configuration_set or world.identities.default_set(sender)
        if set_name and not world.sets.sending_enabled(set_name):
            raise paused()
        own_reasons = world.sets.suppressed_reasons(set_name) if set_name else None
        self._reasons = account.suppressed_reasons if own_reasons is None else own_reasons
        self._call = call
        self._campaign = text_of_tag(call.tags, world.settings.campaign_tag)
        self._sender_refusal = _sender_refusal(world, sender)

    def take(self, entry: Entry) -> str | Refusal:
        """The message id, or why not."""
        refusal = self._refusal(entry)
        if refusal is None:
            return self._accept(entry)
        self._world.mailbox.refuse(refusal.status, len(entry.recipients))
        return refusal

    def _refusal(self, entry: Entry) -> Refusal | None:
        world = self._world
        refusal = entry_refusal(self._call, entry) or self._sender_refusal
        if refusal is None and not world.settings.production_access:
            refusal = _sandbox_refusal(world, entry)
        return (
            refusal
            or world.faults.of_entry(self._call.operation, entry.recipients, self._now)
            or self._account.refusal(self._now)
        )

    def _accept(self, entry: Entry) -> str:
        world, now = self._world, self._now
        addresses = tuple(map(bare, entry.recipients))
        counted = len(addresses) - sum(map(is_simulator_address, addresses))
        self._account.spend(recipients=len(addresses), counted=counted, now=now)
        campaign = self._campaign
        if entry.tags:
            campaign = text_of_tag(entry.tags, world.settings.campaign_tag) or campaign
        withheld = tuple(one for one in addresses if world.suppression.blocks(one, self._reasons))
        message_id = world.next_message_id(now)
        mail = Mail(self._call, entry, message_id, now, campaign, withheld)
        world.mailbox.accept(mail, addresses)
        return message_id


def _sender_refusal(world: World, sender: str) -> Refusal | None:
    if not world.identities.may_send(sender):
        text = not_verified_text(world.settings.region, [sender])
        return Refusal(Status.MESSAGE_REJECTED, text)
    if world.identities.mail_from_broken(sender):
        text = "Custom MAIL FROM domain is not verified."
        return Refusal(Status.MAIL_FROM_DOMAIN_NOT_VERIFIED, text)
    return None


def _sandbox_refusal(world: World, entry: Entry) -> Refusal | None:
    failing = outside_sandbox(world.identities, map(bare, entry.recipients))
    if not failing:
        return None
    return Refusal(Status.MESSAGE_REJECTED, not_verified_text(world.settings.region, failing))
