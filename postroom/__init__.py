"""Postroom: email campaigns through Amazon SES, nobody twice, nobody lost.

What a service needs, each loaded when it is first asked for.
"""

from typing import TYPE_CHECKING

from postroom.version import __version__

if TYPE_CHECKING:
    from postroom.client import Postroom
    from postroom.model import Campaign, Message, Recipient
else:

    def __getattr__(name):  # noqa: ANN001, ANN202
        from importlib import import_module

        if name in __all__:
            home = "postroom.client" if name == "Postroom" else "postroom.model"
            return getattr(import_module(home), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Campaign", "Message", "Postroom", "Recipient", "__version__"]
