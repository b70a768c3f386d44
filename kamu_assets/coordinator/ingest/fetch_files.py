"""Files of this machine as sources: one file at a URL, or all that match a pattern, one after another."""

import glob
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kamu_assets.coordinator.ingest.errors import (
    BadGlobError,
    BadUrlError,
    SourceNotFoundError,
    SourceUnreachableError,
    UnsupportedOptionError,
)
from kamu_assets.coordinator.ingest.event_times import event_time_of_file, event_time_of_url
from kamu_assets.coordinator.ingest.fetching import ETAG, LAST_MODIFIED, Fetched, FetchRequest, state_of
from kamu_assets.odf.source import FetchStepFilesGlob, FetchStepUrl, SourceOrdering
from kamu_assets.odf.timestamp import Timestamp

_NANOS_PER_MILLI = 1_000_000
_MISPLACED_DOUBLE_STAR = re.compile(r"[^/]\*\*|\*\*[^/]")


def fetch_file(step: FetchStepUrl, url: str, request: FetchRequest) -> Fetched | None:
    """A `file://` URL; None when its modification time is the one seen before. The file is read where it is."""
    path = _path_of(url)
    try:
        modified = Timestamp.from_millis(path.stat().st_mtime_ns // _NANOS_PER_MILLI)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceNotFoundError(f"source not found: {path}") from error
    except OSError as error:
        raise SourceUnreachableError(f"cannot read {path}: {error.strerror}") from error
    if not path.is_file():
        raise SourceNotFoundError(f"source is not a file: {path}")
    event_time = event_time_of_url(step.event_time, last_modified=modified, system_time=request.system_time)
    state = state_of(LAST_MODIFIED, str(modified))
    return None if state == request.previous else Fetched(path, path.name, event_time, state)


def fetch_next_file(step: FetchStepFilesGlob, pattern: str, request: FetchRequest) -> Fetched | None:
    """The first file, by name, after the one taken last; folders do not count."""
    if step.order is SourceOrdering.BY_EVENT_TIME:
        raise UnsupportedOptionError("the order ByEventTime of a `filesGlob` source is not supported; use ByName")
    found = sorted(_matching(pattern, request.base), key=lambda path: path.name.encode())
    if not found:
        raise SourceNotFoundError(f"source not found: no file matches {pattern}")
    last = b"" if request.previous is None else request.previous.value.encode()
    new = [path for path in found if request.previous is None or path.name.encode() > last]
    if not new:
        return None
    path = new[0]
    event_time = event_time_of_file(step.event_time, name=path.name, system_time=request.system_time)
    return Fetched(path, path.name, event_time, state_of(ETAG, path.name), has_more=len(new) > 1)


def _matching(pattern: str, base: Path) -> Iterator[Path]:
    _check_pattern(pattern)
    # Path.glob takes no absolute patterns.
    for found in glob.iglob(str(base / pattern), recursive=True, include_hidden=True):  # noqa: PTH207 - see above
        path = Path(found)
        if path.is_file():
            yield path


def _check_pattern(pattern: str) -> None:
    """Refuse what Rust's `glob`, which the reference uses, refuses: Python would take it literally."""
    if _MISPLACED_DOUBLE_STAR.search(pattern):
        raise BadGlobError(f"bad pattern {pattern!r}: `**` must be a whole part of the path")
    place = 0
    while (place := pattern.find("[", place)) >= 0:
        # The first character of a class may be `]`.
        end = pattern.find("]", place + (3 if pattern.startswith("[!", place) else 2))
        if end < 0:
            raise BadGlobError(f"bad pattern {pattern!r}: `[` at position {place} is never closed")
        place = end + 1


def _path_of(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise BadUrlError(f"{url}: a file URL starts with file:/// and an absolute path")
    path = unquote(parts.path)
    if "\0" in path or not path.startswith("/"):
        raise BadUrlError(f"{url}: not a path")
    return Path(path)
