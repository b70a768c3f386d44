"""Logs: one line per event with its fields, whichever library it comes from, without secrets."""

import logging
import sys
from collections.abc import Iterable
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from kamu_assets.monitoring.secrets import SecretHider, never_tell

# Libraries that tell more than anybody asked for.
_QUIET = ("alembic", "sqlalchemy", "urllib3", "botocore", "httpx", "httpcore", "uvicorn.access")


def configure_logging(
    process: str,
    *,
    level: str = "INFO",
    as_json: bool = False,
    stream: TextIO | None = None,
    secrets: Iterable[str] = (),
) -> None:
    """Send everything this process logs to `stream` (standard output), readable or as JSON lines.

    `secrets` are hidden wherever they appear, beside those that are known by where they stand.
    """
    known = list(secrets)
    never_tell(known)
    shared = _shared_processors(process)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=_rendering(SecretHider(known), as_json=as_json)
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


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


def _rendering(hider: SecretHider, *, as_json: bool) -> list[Processor]:
    def without_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {name: hider.hide_field(name, value) for name, value in event.items()}

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
