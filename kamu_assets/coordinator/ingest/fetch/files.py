"""Files of this machine as sources: one file at a URL, or all that match a pattern, one after another."""

import glob
import os
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kamu_assets.coordinator.ingest.errors import (
    BadGlobError,
    BadUrlError,
    FileNotAllowedError,
    SourceNotFoundError,
    SourceUnreachableError,
    UnsupportedOptionError,
)
from kamu_assets.coordinator.ingest.fetch.addresses import name_of, public_url
from kamu_assets.coordinator.ingest.fetch.event_times import event_time_of_file, event_time_of_url
from kamu_assets.coordinator.ingest.fetch.file_walk import FileWalk
from kamu_assets.coordinator.ingest.fetch.marks import FileMark
from kamu_assets.coordinator.ingest.fetch.model import Fetched, FetchRequest
from kamu_assets.coordinator.ingest.fetch.templates import Filled
from kamu_assets.coordinator.ingest.fetch.validators import ETAG, LAST_MODIFIED, state_of
from kamu_assets.odf.source import FetchStepFilesGlob, FetchStepUrl, SourceOrdering
from kamu_assets.odf.timestamp import Timestamp

_NANOS_PER_MILLI = 1_000_000
_ODD = re.compile(r"[^\w./ -]")
_MISPLACED_DOUBLE_STAR = re.compile(r"[^/]\*\*|\*\*[^/]")


def fetch_file(step: FetchStepUrl, url: Filled, request: FetchRequest) -> Fetched | None:
    """A `file://` URL; None when its modification time is the one seen before. The file is read where it is."""
    shown = public_url(url.shown)
    path = _allowed(_path_of(url.value, shown), shown, request)
    # Errors of the system are not chained: they hold the whole path.
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise SourceNotFoundError(f"source not found: {shown}") from None
    except OSError as error:
        raise SourceUnreachableError(f"cannot read {shown}: {error.strerror}") from None
    if not path.is_file():
        raise SourceNotFoundError(f"source is not a file: {shown}")
    modified = Timestamp.from_millis(found.st_mtime_ns // _NANOS_PER_MILLI)
    event_time = event_time_of_url(step.event_time, last_modified=modified, system_time=request.system_time)
    state = state_of(LAST_MODIFIED, str(modified))
    if state == request.previous:
        return None
    mark = FileMark.of(path, shown, found)
    return Fetched(_plain(path, request.folder), name_of(url.shown), event_time, state, mark=mark)


def fetch_next_file(step: FetchStepFilesGlob, pattern: Filled, request: FetchRequest) -> Fetched | None:
    """The first file, by name, after the one taken last; folders do not count."""
    if step.order is SourceOrdering.BY_EVENT_TIME:
        raise UnsupportedOptionError("the order ByEventTime of a `filesGlob` source is not supported; use ByName")
    # Several `**` may lead to one file in several ways.
    found = sorted(set(_matching(pattern, request)), key=lambda path: (os.fsencode(path.name), os.fsencode(path)))
    last = b"" if request.previous is None else request.previous.value.encode()
    new = (path for path in found if (request.previous is None or os.fsencode(path.name) > last) and path.is_file())
    path = next(new, None)
    if path is None:
        if not any(other.is_file() for other in found):
            raise SourceNotFoundError(f"source not found: no file matches {pattern.shown}")
        return None
    name = _name_in_metadata(path)
    event_time = event_time_of_file(step.event_time, name=name, system_time=request.system_time)
    path = _allowed(path, name, request)
    try:
        mark = FileMark.of(path, name, path.stat())
    except OSError as error:
        raise SourceUnreachableError(f"cannot read {name}: {error.strerror}") from None
    has_more = next(new, None) is not None
    return Fetched(_plain(path, request.folder), name, event_time, state_of(ETAG, name), has_more, mark)


def _matching(pattern: Filled, request: FetchRequest) -> Iterator[Path]:
    _check_pattern(pattern.value, pattern.shown)
    parts = Path(pattern.value).parts
    # What is before the first wildcard; the rest is checked file by file, and cannot lead upwards.
    fixed = tuple(takewhile(lambda part: not glob.has_magic(part), parts))
    start = request.base.joinpath(*fixed)
    if request.file_roots is not None:
        _allowed(start, pattern.shown, request)
        if ".." in parts:
            raise FileNotAllowedError(f"{pattern.shown}: `..` is not allowed here (setting ingest.file_roots)")
    return FileWalk(start, pattern.shown, request.limits).matching(parts[len(fixed) :])


def _allowed(path: Path, shown: str, request: FetchRequest) -> Path:
    """The path if it is where sources may read: the real one, so that it stays there."""
    if request.file_roots is None:
        return path
    real = path.resolve()
    if not any(real.is_relative_to(root.resolve()) for root in request.file_roots):
        raise FileNotAllowedError(f"{shown}: not in a folder that sources may read (setting ingest.file_roots)")
    return real


def _plain(path: Path, folder: Path) -> Path:
    """The same file under a name that the engine takes for a name: in others it sees a pattern, or nothing at all."""
    if not _ODD.search(str(path)):
        return path
    link = folder / "source"
    link.symlink_to(path.absolute())
    return link


def _name_in_metadata(path: Path) -> str:
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        raise BadGlobError(f"{path.name!a}: the name of the file is not UTF-8; rename it") from error
    return path.name


def _check_pattern(pattern: str, shown: str) -> None:
    """Refuse what Rust's `glob`, which the reference uses, refuses: Python would take it literally."""
    if "\0" in pattern:
        raise BadGlobError(f"bad pattern {shown!r}: a zero byte is in no path")
    if _MISPLACED_DOUBLE_STAR.search(pattern):
        raise BadGlobError(f"bad pattern {shown!r}: `**` must be a whole part of the path")
    place = 0
    while (place := pattern.find("[", place)) >= 0:
        # The first character of a class may be `]`.
        end = pattern.find("]", place + (3 if pattern.startswith("[!", place) else 2))
        if end < 0:
            raise BadGlobError(f"bad pattern {shown!r}: `[` at position {place} is never closed")
        place = end + 1


def _path_of(url: str, shown: str) -> Path:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadUrlError(f"{shown}: not a URL") from None
    if parts.netloc not in ("", "localhost"):
        raise BadUrlError(f"{shown}: a file URL starts with file:/// and an absolute path")
    path = unquote(parts.path)
    if "\0" in path or not path.startswith("/"):
        raise BadUrlError(f"{shown}: not a path")
    return Path(path)
