"""Logs of the processes: events with fields. JSON lines, or a readable form in a terminal."""

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from postroom.redaction import LONGEST, without_addresses

_LONGEST_TRACEBACK: Final = 20_000
_PLAIN: Final = (bool, int, float, type(None))
_OF_STRUCTLOG: Final = frozenset({"_record", "_from_structlog"})

# What these write at DEBUG are whole requests: people's names, and keys that are still good.
_TELLTALES: Final = ("boto3", "botocore", "s3transfer", "urllib3")


def set_up(level: str) -> None:
    """Send every log of this process, of ours and of libraries, to stderr in one form."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact_addresses,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                *shared[:-1],
                structlog.stdlib.ExtraAdder(),
                _without_repetition,
                redact_addresses,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(terminal=sys.stderr.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _TELLTALES:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))


def _without_repetition(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep of what Celery says of a task once more in `data` only what its line has not: `args`."""
    data = event.pop("data", None) if str(event.get("logger")).startswith("celery.") else None
    if isinstance(data, Mapping) and "args" in data:
        event["args"] = data["args"]
    return event


def redact_addresses(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take email addresses out of every field: logs are kept and read by many.

    What is longer than 2,000 characters (a traceback: 20,000) is cut: it may be of anybody.
    """
    return {
        name: value if name in _OF_STRUCTLOG else _redacted(value, name)
        for name, value in event.items()
    }


def _redacted(value: Any, name: str = "") -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        return {_redacted(key): _redacted(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(inner) for inner in value]
    text = value if isinstance(value, str) else repr(value)
    return without_addresses(text, _LONGEST_TRACEBACK if name == "exception" else LONGEST)


def _renderer(*, terminal: bool) -> Processor:
    return structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
