"""When the data of a source happened, if its rows do not say (ODF: EventTimeSource)."""

from kamu_assets.coordinator.ingest.errors import EventTimeSourceError
from kamu_assets.coordinator.ingest.fetch.chrono_formats import parse_chrono
from kamu_assets.odf.source import (
    EventTimeSource,
    EventTimeSourceFromMetadata,
    EventTimeSourceFromPath,
    EventTimeSourceFromSystemTime,
)
from kamu_assets.odf.timestamp import Timestamp

_DEFAULT_FORMAT = "%Y-%m-%d"


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
    text = _first_group(source.pattern, name)
    form = source.timestamp_format or _DEFAULT_FORMAT
    moment = parse_chrono(text, form)
    if moment is None:
        raise EventTimeSourceError(f"event time {text!r} of file {name!r} does not have the format {form!r}")
    return moment


def _first_group(pattern: str, name: str) -> str:
    """What the first group matches. By RE2: the expression is a stranger's, and Python's may take forever."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = pa.array([name])
    try:
        if not pc.match_substring_regex(names, pattern)[0].as_py():
            raise EventTimeSourceError(f"event time pattern {pattern!r} does not match file name {name!r}")
    except pa.ArrowInvalid as error:
        raise EventTimeSourceError(f"event time pattern {pattern!r} is not a regular expression: {error}") from error
    try:
        found = pc.replace_substring_regex(names, f"^(?s:.*?)(?:{pattern})(?s:.*)$", r"\1", max_replacements=1)
    except pa.ArrowInvalid as error:
        raise EventTimeSourceError(f"event time pattern {pattern!r} has no group, such as (\\d+)") from error
    return str(found[0].as_py())
