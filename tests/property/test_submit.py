"""Handing in, with every kind of trouble at every single command: one campaign a key, and an
error that says the truth.

A submitter works over a store that fails at its n-th command; n goes up until a run has no n-th.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum, auto
from threading import Event, Thread
from typing import Any, NamedTuple

import pytest

from postroom.broker.publish import Publisher
from postroom.errors import (
    MaybeSubmittedError,
    RefusedError,
    StoreUnavailableError,
    UnknownCampaignError,
)
from postroom.ids import Place, StreamId, place_of, segment_id
from postroom.messages.sending import MessageSender
from postroom.model import CampaignId, Message, Submission
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.message_status import MessageReader
from postroom.store.status import StatusReader
from postroom.store.submit_keys import SILENCE_SECONDS
from postroom.submission.submitter import Submitter
from tests.support.client_harness import campaign

KEY = "spring"


class Door(NamedTuple):
    """What a service hands in through."""

    campaigns: Submitter
    messages: MessageSender


Step = Callable[[Door, str | None], Submission]


class Trouble(Enum):
    DIES_BEFORE = auto()
    DIES_AFTER = auto()
    NOT_ASKED = auto()
    """The connection breaks before the command leaves."""
    REPLY_LOST = auto()
    LATE = auto()
    """The caller gives the command up; Redis runs it when the caller has done everything else."""
    FROZEN_BEFORE = auto()
    FROZEN_AFTER = auto()
    """The caller stands still while another comes with the same key."""


DEATHS = (Trouble.DIES_BEFORE, Trouble.DIES_AFTER)
BREAKS = (Trouble.NOT_ASKED, Trouble.REPLY_LOST, Trouble.LATE)
STALLS = (Trouble.FROZEN_BEFORE, Trouble.FROZEN_AFTER)


class Killed(BaseException):
    pass


class Troubled(Store):
    """Real Redis; the n-th command, script or not, meets the trouble."""

    def __init__(
        self,
        settings: Settings,
        at: int,
        trouble: Trouble,
        *,
        gone: bool = False,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        """`gone`: Redis does not come back for the commands that follow."""
        super().__init__(settings.redis)
        self.left, self.trouble, self.gone, self.meanwhile = at, trouble, gone, meanwhile
        self.late: Callable[[], object] | None = None

    @property
    def met(self) -> bool:
        return self.left <= 0

    def run(self, script: str, *args: Any, **more: Any) -> Any:
        return self._step(lambda: Store.run(self, script, *args, **more))

    def ask(self, command: Callable[[Any], Any]) -> Any:
        return self._step(lambda: Store.ask(self, command))

    def _step(self, command: Callable[[], Any]) -> Any:
        self.left -= 1
        if self.left < 0 and self.gone:
            raise StoreUnavailableError("Redis does not answer: it is still away")
        return self._troubled(command) if self.left == 0 else command()

    def _troubled(self, command: Callable[[], Any]) -> Any:
        trouble, answer = self.trouble, None
        if trouble is Trouble.LATE:
            self.late = command
        if trouble is Trouble.FROZEN_BEFORE:
            self.meanwhile()
        if trouble not in (Trouble.DIES_BEFORE, Trouble.NOT_ASKED, Trouble.LATE):
            answer = command()
        if trouble is Trouble.FROZEN_AFTER:
            self.meanwhile()
        if trouble in DEATHS:
            raise Killed
        if trouble in BREAKS:
            raise StoreUnavailableError("Redis does not answer: the connection broke")
        return answer


def mailing(one: CampaignId) -> CampaignId:
    place = place_of(one)
    return place.segment if isinstance(place, Place) else one


def from_an_iterable(door: Door, key: str | None) -> Submission:
    return door.campaigns.submit(campaign(), ["ann@x.example", "bob@x.example"], key=key)


def from_a_source(door: Door, key: str | None) -> Submission:
    return door.campaigns.submit(campaign(), source="file:///people.csv", key=key)


def one_message(door: Door, key: str | None) -> Submission:
    return door.messages.send("news", Message(subject="Hi", text="Hello"), "ann@x.example", key=key)


WAYS = pytest.mark.parametrize("step", [from_an_iterable, from_a_source, one_message])


class Scene:
    """One Redis, and the submitters that come to it one after the other."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.publisher = Publisher(settings.redis)

    def submitter(self, store: Store) -> Door:
        return Door(
            Submitter(store, self.settings, self.publisher),
            MessageSender(store, self.settings, self.publisher),
        )

    def sealed(self) -> set[CampaignId]:
        """Every campaign and message that will be sent, or was."""
        found = set()
        for name in self.store.client.scan_iter(match="*campaign", count=1000):
            tag, _, number = name.decode().partition("{")[2].partition("}")
            sealed, messages = self.store.client.hmget(name, "sealed_at", "total")
            if number == ":campaign" and sealed:
                found.add(CampaignId(tag))
            segment = segment_id(StreamId(tag), number.strip(":").partition(":")[0])
            if number != ":campaign":
                found |= {Place(segment, at).message for at in range(int(messages))}
        return found

    def named(self, one: str) -> set[CampaignId]:
        """What the id of an error leads to."""
        reader = MessageReader(
            self.store,
            self.settings.store,
            StatusReader(self.store, Dispatch(self.store, self.settings)),
        )
        try:
            place = reader.place(CampaignId(one))
        except UnknownCampaignError:
            return set()
        return {place.message if place else CampaignId(one)}

    def live(self) -> set[CampaignId]:
        found = self.store.client.zrange(self.store.keys.live, 0, -1)
        return {CampaignId(one.decode()) for one in found}

    def silence(self) -> None:
        """Half a minute passes without a sign of life."""
        name = self.store.keys.submitted(KEY)
        if touched := self.store.client.hget(name, "touched"):
            self.store.client.hset(name, "touched", float(touched) - SILENCE_SECONDS)

    def again(self, step: Step) -> Submission:
        """The same call with the same key; refused at most until the other is known silent."""
        try:
            return step(self.submitter(self.store), KEY)
        except RefusedError:
            self.silence()
            return step(self.submitter(self.store), KEY)


@pytest.fixture
def scene(store: Store, settings: Settings) -> Iterator[Scene]:
    scene = Scene(store, settings)
    yield scene
    scene.publisher.close()


def each_command(scene: Scene, trouble: Trouble, **more: Any) -> Iterator[tuple[Troubled, Door]]:
    """Yield a submitter for every command at which the trouble may come, on an empty Redis."""
    for at in range(1, 40):
        scene.store.client.flushdb()
        troubled = Troubled(scene.settings, at, trouble, **more)
        yield troubled, scene.submitter(troubled)
        troubled.close()
        if not troubled.met:
            assert at > 4
            return
    raise AssertionError("there is no end of commands")


@WAYS
@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("gone", [False, True], ids=["back at once", "away for long"])
@pytest.mark.parametrize("trouble", BREAKS)
def test_a_connection_that_breaks_at_any_command_leaves_no_lie(
    scene: Scene, step: Step, trouble: Trouble, key: str | None, gone: bool
) -> None:
    for troubled, submitter in each_command(scene, trouble, gone=gone):
        told: set[CampaignId] = set()
        named, may_be = "", False
        try:
            told.add(step(submitter, key).id)
        except MaybeSubmittedError as error:
            named = error.campaign_id
            may_be = f"postroom status {error.campaign_id}" in str(error)
        except StoreUnavailableError:
            pass
        assert gone or not may_be
        if troubled.late:
            troubled.late()
        told |= scene.named(named) if named else set()
        assert scene.sealed() == told or (may_be and scene.sealed() == set())
        assert set(map(mailing, scene.sealed())) <= scene.live()
        if key:
            again = scene.again(step)
            assert scene.sealed() == {again.id}
            assert not told or told == {again.id} or may_be


@WAYS
@pytest.mark.parametrize("trouble", DEATHS)
def test_a_submitter_that_dies_at_any_command_leaves_one_campaign_a_key(
    scene: Scene, step: Step, trouble: Trouble
) -> None:
    for _, submitter in each_command(scene, trouble):
        try:
            step(submitter, KEY)
        except Killed:
            left = scene.sealed()
            again = scene.again(step)
            assert again.created == (not left)
            assert scene.sealed() == {again.id}
            assert step(scene.submitter(scene.store), KEY).id == again.id


@WAYS
@pytest.mark.parametrize("trouble", STALLS)
@pytest.mark.parametrize("away", [SILENCE_SECONDS, 90_000], ids=["silent", "longer than a day"])
def test_a_submitter_that_freezes_at_any_command_and_wakes_leaves_one_campaign_a_key(
    scene: Scene, step: Step, trouble: Trouble, away: int
) -> None:
    taken: list[Submission] = []

    def another_comes() -> None:
        scene.silence()
        if away > scene.settings.store.draft_seconds:
            expire(scene, away)
        taken.append(step(scene.submitter(scene.store), KEY))

    for _, submitter in each_command(scene, trouble, meanwhile=another_comes):
        told = set()
        with suppress(StoreUnavailableError, RefusedError):
            told.add(step(submitter, KEY).id)
        told |= {one.id for one in taken}
        taken.clear()
        assert scene.sealed() == told
        assert len(told) == 1
        assert step(scene.submitter(scene.store), KEY).id in told


def expire(scene: Scene, seconds: int) -> None:
    """So many seconds go by."""
    for name in scene.store.client.scan_iter():
        if 0 < scene.store.client.ttl(name) <= seconds:
            scene.store.client.delete(name)


@WAYS
def test_two_submitters_that_freeze_in_turn_never_both_go_out(scene: Scene, step: Step) -> None:
    """The first freezes; the second comes, and freezes too; the first ends, then the second."""
    for at in range(1, 9):
        for other_at in range(1, 12):
            scene.store.client.flushdb()
            told = in_turn(scene, step, at, other_at)
            assert scene.sealed() == told
            assert len(told) <= 1
            again = scene.again(step)
            assert scene.sealed() == {again.id}


def in_turn(scene: Scene, step: Step, at: int, other_at: int) -> set[CampaignId]:
    told: set[CampaignId] = set()
    second_stands, first_ended = Event(), Event()

    def stand_still() -> None:
        second_stands.set()
        assert first_ended.wait(10)

    def go(store: Troubled) -> None:
        with suppress(StoreUnavailableError, RefusedError):
            told.add(step(scene.submitter(store), KEY).id)
        store.close()

    def second() -> None:
        go(Troubled(scene.settings, other_at, Trouble.FROZEN_BEFORE, meanwhile=stand_still))
        second_stands.set()

    other = Thread(target=second)

    def second_comes() -> None:
        scene.silence()
        other.start()
        assert second_stands.wait(10)

    go(Troubled(scene.settings, at, Trouble.FROZEN_BEFORE, meanwhile=second_comes))
    first_ended.set()
    if other.ident is not None:
        other.join()
    return told
