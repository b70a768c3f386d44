"""Times in formats as manifests write them: those of Rust's chrono, read with Python's own parser."""

import re
from datetime import UTC, datetime

from kamu_assets.coordinator.ingest.errors import EventTimeSourceError
from kamu_assets.odf.timestamp import InvalidTimestampError, Timestamp

_DIRECTIVE = re.compile(r"%([-_0]?)(:{1,3}z|#z|\.[369]?f|[369]f|.?)", re.DOTALL)
# What Python calls otherwise. chrono's `%f` counts nanoseconds, Python's is a fraction: not the same.
_OTHER_NAMES = {
    "F": "%Y-%m-%d",
    "T": "%H:%M:%S",
    "R": "%H:%M",
    "D": "%m/%d/%y",
    "x": "%m/%d/%y",
    "X": "%H:%M:%S",
    "v": "%d-%b-%Y",
    "r": "%I:%M:%S %p",
    "e": "%d",
    "k": "%H",
    "l": "%I",
    "h": "%b",
    "P": "%p",
    "n": "\n",
    "t": "\t",
    ":z": "%z",
    "#z": "%z",
    ".f": ".%f",
    ".3f": ".%f",
    ".6f": ".%f",
    "3f": "%f",
    "6f": "%f",
}
_SAME = set("YymbBdaAHIMSpjzZGVuUWw%")
_YEARS = ("%Y", "%y", "%G")


def parse_chrono(text: str, form: str) -> Timestamp | None:
    """The moment, in UTC where the text names no zone; None when it does not have the format."""
    match form:
        case "%s":
            return Timestamp.from_millis(int(text) * 1000) if re.fullmatch(r"-?\d{1,12}", text) else None
        case "%+":
            return _iso(text)
    known = _DIRECTIVE.sub(lambda found: _in_python(found[2], form), form)
    if not any(year in known for year in _YEARS):
        raise EventTimeSourceError(f"the time format {form!r} has no year: add one, such as %Y")
    try:
        moment = datetime.strptime(text, known)  # noqa: DTZ007 - the format may have no zone: then it is UTC
    except (ValueError, re.error):
        return None
    return Timestamp.from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _in_python(directive: str, form: str) -> str:
    if directive in _SAME:
        return f"%{directive}"
    if directive not in _OTHER_NAMES:
        known = ", ".join(f"%{each}" for each in sorted({*_SAME, *_OTHER_NAMES}))
        raise EventTimeSourceError(
            f"the time format {form!r} has %{directive}, which is not supported; known are {known}"
        )
    return _OTHER_NAMES[directive]


def _iso(text: str) -> Timestamp | None:
    try:
        return Timestamp.parse(text)
    except InvalidTimestampError:
        return None
