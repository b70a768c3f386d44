"""Logs: one line per event with its fields, whichever library it comes from, without secrets."""

import logging
import re
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SECRET_FIELDS = frozenset({"token", "password", "secret", "authorization", "private_key"})
_TOKEN = re.compile(r"\bka_[0-9A-Za-z]{8,}")
_HIDDEN = "•••"
# Libraries that tell more than anybody asked for.
_QUIET = ("alembic", "sqlalchemy", "urllib3", "botocore", "httpx", "httpcore", "uvicorn.access")


def configure_logging(
    process: str, *, level: str = "INFO", as_json: bool = False, stream: TextIO | None = None
) -> None:
    """Send everything this process logs to `stream` (standard output), readable or as JSON lines."""
    shared = _shared_processors(process)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_rendering(as_json=as_json))
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def without_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide fields that hold secrets, and tokens inside of texts."""
    return {name: _hidden(name, value) for name, value in event.items()}


def _hidden(name: str, value: object) -> object:
    if name.lower() in _SECRET_FIELDS:
        return _HIDDEN
    return _TOKEN.sub(f"ka_{_HIDDEN}", value) if isinstance(value, str) else value


def _shared_processors(process: str) -> list[Processor]:
    def name_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        name_process,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _rendering(*, as_json: bool) -> list[Processor]:
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, sort_keys=False)
    )
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        without_secrets,
        renderer,
    ]
