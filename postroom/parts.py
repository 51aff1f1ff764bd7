"""What a client consists of, put together once."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from postroom.broker.publish import Publisher
from postroom.dispatch.accounts import AccountControl
from postroom.dispatch.finishing import Finishing
from postroom.dispatch.steering import Steering
from postroom.messages.sending import MessageSender
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.message_status import MessageReader
from postroom.store.report import Reports
from postroom.store.status import StatusReader
from postroom.store.suppression import Suppression
from postroom.submission.retrying import Retrier
from postroom.submission.submitter import Submitter
from postroom.views.catalogue import Catalogue
from postroom.views.preview import Preview

if TYPE_CHECKING:
    from postroom.dispatch.rebinding import Rebinder
    from postroom.health.doctor import Doctor
    from postroom.store.account_totals import AccountTotals
    from postroom.views.history import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One set a client; all share its connection."""

    store: Store
    publisher: Publisher
    submitter: Submitter
    messages: MessageSender
    preview: Preview
    retrier: Retrier
    statuses: StatusReader
    reader: MessageReader
    catalogue: Catalogue
    steering: Steering
    accounts: AccountControl
    reports: Reports
    suppression: Suppression
    settings: Settings

    def rebinder(self) -> "Rebinder":
        """Loaded when somebody asks for it."""
        from postroom.dispatch.rebinding import Rebinder

        return Rebinder(self.store, self.settings)

    def history(self) -> "History":
        """Loaded when somebody asks for it."""
        from postroom.views.history import History

        return History(self.store)

    def account_totals(self) -> "AccountTotals":
        """Loaded when somebody asks for it."""
        from postroom.store.account_totals import AccountTotals

        return AccountTotals(self.store)

    def doctor(self) -> "Doctor":
        """Loaded when somebody asks for it."""
        from postroom.health.doctor import Doctor

        return Doctor(self.store, self.settings, self.publisher)


def put_together(settings: Settings, redis_url: str | None = None) -> Parts:
    """Put it together over the Redis of the settings, or another. Nothing is asked of it yet."""
    if redis_url is not None:
        redis = msgspec.structs.replace(settings.redis, url=redis_url)
        settings = msgspec.structs.replace(settings, redis=redis)
    store = Store(settings.redis, client_name="postroom-client")
    publisher = Publisher(settings.redis)
    submitter = Submitter(store, settings, publisher)
    dispatch = Dispatch(store, settings)
    finishing = Finishing.from_settings(store, settings, publisher)
    accounts = AccountControl(store, settings, dispatch, publisher)
    statuses = StatusReader(store, dispatch)
    reader = MessageReader(store, settings.store, statuses)
    return Parts(
        store=store,
        publisher=publisher,
        submitter=submitter,
        messages=MessageSender(store, settings, publisher),
        preview=Preview(store, settings),
        retrier=Retrier(store, settings.store, submitter.submit),
        statuses=statuses,
        reader=reader,
        catalogue=Catalogue(finishing.campaigns, statuses, reader),
        steering=Steering(finishing, dispatch, accounts, publisher),
        accounts=accounts,
        reports=Reports(store),
        suppression=Suppression(store),
        settings=settings,
    )
