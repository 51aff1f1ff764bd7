"""Who types: what stands in the event logs where nobody else is named."""

import getpass
import os
import socket


def this_user() -> str:
    """Return the user of this process and its host, as `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # A container's user may have a number only.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
