"""Trouble of one worker process stays its own: real Celery workers, each with its environment."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from postroom.model import AccountName, Lane, SenderName, State
from postroom.store import presence
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from tests.chaos.rig import Rig, Shape
from tests.support import campaigns
from tests.support.campaigns import PreparedCampaign
from tests.support.waiting import wait_until

NO_CREDENTIALS = (
    *("-u", "AWS_ACCESS_KEY_ID", "-u", "AWS_SECRET_ACCESS_KEY"),
    *("AWS_SHARED_CREDENTIALS_FILE=/nowhere", "AWS_CONFIG_FILE=/nowhere"),
)
KEY = "[default]\naws_access_key_id = {}\naws_secret_access_key = s\n"
LOCAL, SECOND = AccountName("local"), AccountName("second")

MakeMade = Callable[..., PreparedCampaign]


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Nobody works yet; each test starts the workers that it is about."""
    environ = {"POSTROOM_WORKER__UNFIT_SECONDS": "3"}
    with Rig(Shape(workers=0, producers=0, slots=4, latency_ms=50.0, environ=environ)) as rig:
        yield rig


@pytest.fixture
def store(rig: Rig) -> Iterator[Store]:
    with closing(Store(rig.settings.redis)) as store:
        yield store


@pytest.fixture
def make(rig: Rig, store: Store) -> MakeMade:
    """Make a campaign that is split, and put it in line."""

    def made(recipients: int, *, batch_size: int = 50, **more: object) -> PreparedCampaign:
        given = {"account": LOCAL, "batch_size": batch_size, **more}
        one = campaigns.make(store, rig.settings, recipients, **given)
        Dispatch(store, rig.settings).wake(one.route)
        return one

    return made


def config(folder: Path, *, accounts: tuple[str, ...], senders: dict[str, str]) -> str:
    """Write settings of a worker; return the variable that names them."""
    lines = [f"[accounts.{name}]\nregion = 'eu-west-1'" for name in accounts]
    lines += [
        f"[senders.{name}]\naccount = '{account}'\nfrom = '{name}@shop.example.com'"
        for name, account in senders.items()
    ]
    path = folder / f"{'-'.join(accounts)}-{'-'.join(senders)}.toml"
    path.write_text("\n".join(lines))
    return f"POSTROOM_CONFIG={path}"


def shared_credentials(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """Return a file that is not there yet, and the environment of workers that read it."""
    path = folder / "credentials"
    return path, (*NO_CREDENTIALS[:4], f"AWS_SHARED_CREDENTIALS_FILE={path}", NO_CREDENTIALS[5])


def start(rig: Rig, store: Store, *environs: tuple[str, ...]) -> None:
    for environ in environs:
        rig.start_worker(*environ)
    wait_until(
        lambda: len(presence.workers(store)) >= len(rig.workers),
        "the workers are there",
        seconds=60,
    )


def finish(rig: Rig, *made: PreparedCampaign) -> None:
    for one in made:
        wait_until(
            lambda one=one: rig.post.status(one.id).state is State.FINISHED, "it is finished"
        )
        assert rig.accepted(one.id) == dict.fromkeys(one.addresses, 1)
        assert one.check_books().accepted == len(one.addresses)


def test_one_worker_without_credentials_halts_nothing_and_doctor_names_it(
    rig: Rig, store: Store, make: MakeMade
) -> None:
    start(rig, store, NO_CREDENTIALS)
    made = make(1000)
    wait_until(lambda: rig.post.account(LOCAL).troubles, "its trouble is known")
    start(rig, store, (), ())
    finish(rig, made, make(1000), *(make(1, lane=Lane.TRANSACTIONAL) for _ in range(20)))
    account = rig.post.account(LOCAL)
    assert (account.halted, account.workers) == ("", 2)
    [complaint] = [one for one in rig.post.examine() if "credentials" in one.what]
    assert complaint.where.endswith(f":{rig.workers[0].pid}")
    assert store.client.zcard(store.keys.dispatch("out:bulk")) == 0


def test_what_every_worker_lacks_halts_the_account_and_one_command_lets_it_go_on(
    rig: Rig, store: Store, make: MakeMade, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    lacking = (*NO_CREDENTIALS[:4], f"AWS_SHARED_CREDENTIALS_FILE={credentials}")
    start(rig, store, lacking, lacking)
    made = make(200)
    wait_until(lambda: rig.post.account(LOCAL).halted, "the account is halted", seconds=60)
    assert "on every worker: no usable AWS credentials" in rig.post.account(LOCAL).halted
    assert rig.post.status(made.id).state is State.WAITING
    credentials.write_text("[default]\naws_access_key_id = k\naws_secret_access_key = s\n")
    wait_until(lambda: rig.post.account(LOCAL).workers, "a worker finds it mended", seconds=60)
    rig.post.resume_account(LOCAL)
    finish(rig, made)


def test_a_worker_of_an_older_deployment_leaves_a_new_sender_to_the_others(
    rig: Rig, store: Store, make: MakeMade, tmp_path: Path
) -> None:
    old = config(tmp_path, accounts=("local",), senders={"letters": "local"})
    start(rig, store, (old,), ())
    both = [make(600, sender=SenderName("news")) for _ in range(3)]
    finish(rig, *both)


def test_a_sender_that_no_worker_knows_halts_its_campaign_alone(
    rig: Rig, store: Store, make: MakeMade
) -> None:
    start(rig, store, (), ())
    unknown, known = make(100, sender=SenderName("nobody")), make(600)
    finish(rig, known)
    wait_until(
        lambda: rig.post.status(unknown.id).state is State.HALTED, "it is halted", seconds=30
    )
    assert "know no sender 'nobody'" in rig.post.status(unknown.id).reason
    assert rig.post.account(LOCAL).halted == ""
    assert unknown.check_books().pending == 100


def test_a_group_of_workers_may_serve_one_of_two_accounts(
    rig: Rig, store: Store, make: MakeMade, tmp_path: Path
) -> None:
    senders = {"news": "local", "letters": "second"}
    both = config(tmp_path, accounts=("local", "second"), senders=senders)
    second = config(tmp_path, accounts=("second",), senders={"letters": "second"})
    start(rig, store, (both,), (second,), (second,))
    finish(
        rig,
        *(make(500, account=LOCAL) for _ in range(2)),
        *(make(500, account=SECOND, sender=SenderName("letters")) for _ in range(2)),
    )
    assert rig.post.account(LOCAL).workers == 1
    assert rig.post.account(SECOND).workers == 3


def test_two_sections_of_one_account_never_pass_its_rate_together(
    rig: Rig, store: Store, make: MakeMade, tmp_path: Path
) -> None:
    rig.ses_settings(rate=50.0, quota=100_000)
    senders = {"news": "local", "letters": "second"}
    both = config(tmp_path, accounts=("local", "second"), senders=senders)
    start(rig, store, (both,), (both,))
    made = [make(150), make(150, account=SECOND, sender=SenderName("letters"))]
    finish(rig, *made)
    stats = rig.stats()
    # A machine under load bunches what it sends, so single seconds say little; twice the rate
    # would be over in half the time, and SES would refuse more than one call of it.
    lasted = stats["last_accepted_at"] - stats["first_accepted_at"]
    assert lasted >= 300 / 50 - 1.5
    assert stats["throttled"] <= 50
    assert rig.post.account(SECOND).shares_with == (LOCAL,)
    assert rig.post.account(LOCAL).shares_with == (SECOND,)


def test_a_revoked_key_wants_one_command_however_much_waits_for_it(
    rig: Rig, store: Store, make: MakeMade
) -> None:
    start(rig, store, (), ())
    made = [make(100) for _ in range(5)]
    wait_until(lambda: made[0].totals().accepted, "it is under way")
    rig.ses_settings(access_keys=["somebody-else"])
    made += [make(1, lane=Lane.TRANSACTIONAL) for _ in range(60)]
    wait_until(lambda: rig.post.account(LOCAL).halted, "the account is halted")
    assert {rig.post.status(one.id).state for one in made} <= {State.WAITING, State.FINISHED}
    wait_until(lambda: not any(one.totals().sending for one in made), "no call is in flight")
    commands = {one.command for one in rig.post.examine() if "resume" in one.command}
    assert commands == {"postroom account resume local"}
    rig.ses_settings(access_keys=[])
    rig.post.resume_account(LOCAL)
    finish(rig, *made)


def test_a_key_that_was_changed_in_its_file_halts_nothing(
    rig: Rig, store: Store, make: MakeMade, tmp_path: Path
) -> None:
    """Each process has the old one in its clients, and SES refuses that."""
    credentials, environ = shared_credentials(tmp_path)
    credentials.write_text(KEY.format("AKIAOLD"))
    start(rig, store, environ, environ)
    finish(rig, *(make(300) for _ in range(3)))
    credentials.write_text(KEY.format("AKIANEW"))
    rig.ses_settings(access_keys=["AKIANEW"])
    made = [make(300) for _ in range(3)] + [make(1, lane=Lane.TRANSACTIONAL) for _ in range(30)]
    finish(rig, *made)
    assert rig.post.account(LOCAL).halted == ""


def test_a_forked_child_sends_again_once_its_host_is_mended(tmp_path: Path) -> None:
    credentials, environ = shared_credentials(tmp_path)
    credentials.write_text(KEY.format("AKIAOLD"))
    shape = Shape(workers=0, producers=0, slots=2, pool="processes")
    with Rig(shape) as rig, closing(Store(rig.settings.redis)) as store:
        rig.start_worker(*environ)
        wait_until(lambda: rig.post.account(LOCAL).rate, "the account was read", seconds=60)
        credentials.unlink()
        one = campaigns.make(store, rig.settings, 100, account=LOCAL, batch_size=50)
        Dispatch(store, rig.settings).wake(one.route)
        log = rig.workers[0].log
        wait_until(lambda: "no usable AWS credentials" in log.read_text(), "a child has none")
        credentials.write_text(KEY.format("AKIAOLD"))
        finish(rig, one)
