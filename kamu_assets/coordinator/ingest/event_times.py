"""When the data of a source happened, if its rows do not say (ODF: EventTimeSource)."""

import re
from datetime import UTC, datetime

from kamu_assets.coordinator.ingest.errors import EventTimeSourceError
from kamu_assets.odf.source import (
    EventTimeSource,
    EventTimeSourceFromMetadata,
    EventTimeSourceFromPath,
    EventTimeSourceFromSystemTime,
)
from kamu_assets.odf.timestamp import Timestamp

_DEFAULT_FORMAT = "%Y-%m-%d"
# Shorthands of Rust's chrono that Python's strptime lacks.
_SHORTHANDS = {
    "%F": "%Y-%m-%d",
    "%T": "%H:%M:%S",
    "%R": "%H:%M",
    "%D": "%m/%d/%y",
    "%e": "%d",
    "%:z": "%z",
    "%.f": ".%f",
}


def event_time_of_url(
    source: EventTimeSource | None, *, last_modified: Timestamp | None, system_time: Timestamp
) -> Timestamp:
    """For `url` sources: what the server says, else the system time."""
    match source:
        case None | EventTimeSourceFromMetadata():
            return last_modified or system_time
        case EventTimeSourceFromSystemTime():
            return system_time
        case EventTimeSourceFromPath():
            raise EventTimeSourceError("a `url` source does not support the event time source fromPath")


def event_time_of_file(source: EventTimeSource | None, *, name: str, system_time: Timestamp) -> Timestamp:
    """For `filesGlob` sources: a part of the file name, else the system time."""
    match source:
        case None | EventTimeSourceFromSystemTime():
            return system_time
        case EventTimeSourceFromPath():
            return _from_name(source, name)
        case EventTimeSourceFromMetadata():
            raise EventTimeSourceError("a `filesGlob` source does not support the event time source fromMetadata")


def _from_name(source: EventTimeSourceFromPath, name: str) -> Timestamp:
    try:
        match = re.search(source.pattern, name)
    except re.error as error:
        raise EventTimeSourceError(
            f"event time pattern {source.pattern!r} is not a regular expression: {error}"
        ) from error
    if match is None or not match.groups():
        raise EventTimeSourceError(f"event time pattern {source.pattern!r} finds no group in file name {name!r}")
    text = match[1] or ""
    form = source.timestamp_format or _DEFAULT_FORMAT
    for short, long in _SHORTHANDS.items():
        form = form.replace(short, long)
    try:
        moment = datetime.strptime(text, form)  # noqa: DTZ007 - the format may have no zone: then it is UTC
    except ValueError as error:
        raise EventTimeSourceError(f"event time {text!r} of file {name!r} does not have the format {form!r}") from error
    return Timestamp.from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
