"""Resources of web servers as sources: conditional requests, streamed to a file, complete or not at all."""

from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from kamu_assets.coordinator.ingest.errors import (
    BadUrlError,
    SourceNotFoundError,
    SourceUnreachableError,
    TooLargeError,
)
from kamu_assets.coordinator.ingest.event_times import event_time_of_url
from kamu_assets.coordinator.ingest.fetching import ETAG, LAST_MODIFIED, Fetched, FetchRequest, state_of
from kamu_assets.coordinator.ingest.limits import FetchLimits
from kamu_assets.coordinator.ingest.templates import fill_templates
from kamu_assets.odf.source import FetchStepUrl, SourceState
from kamu_assets.odf.timestamp import InvalidTimestampError, Timestamp

_USER_AGENT = "kamu-node"
_CHUNK = 1 << 20


def fetch_http(step: FetchStepUrl, url: str, request: FetchRequest) -> Fetched | None:
    """Download what is at `url`; None when the server says that it did not change."""
    name = _name_of(url)
    try:
        with _client(request.limits) as client, client.stream("GET", url, headers=_headers(step, request)) as answer:
            if answer.status_code == httpx.codes.NOT_MODIFIED:
                return None
            _check_status(answer, url)
            return _download(answer, step, url, request, name=name)
    except httpx.TooManyRedirects as error:
        raise SourceUnreachableError(f"{url}: more than {request.limits.max_redirects} redirects") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise BadUrlError(f"{url}: {error}") from error
    except httpx.TimeoutException as error:
        seconds = request.limits.silence_seconds
        raise SourceUnreachableError(f"{url}: no data for {seconds:g} seconds ({type(error).__name__})") from error
    except httpx.RemoteProtocolError as error:
        raise SourceUnreachableError(f"{url}: the answer is truncated or broken: {error}") from error
    except httpx.HTTPError as error:
        raise SourceUnreachableError(f"{url}: source is unreachable: {error}") from error


def _name_of(url: str) -> str:
    """How messages call what is at a URL: the last part of its path."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadUrlError(f"{url}: {error}") from error
    return unquote(parts.path.rpartition("/")[2]) or parts.netloc


def _client(limits: FetchLimits) -> httpx.Client:
    timeout = httpx.Timeout(limits.silence_seconds, connect=limits.connect_seconds)
    # Proxies and credentials of this process's environment are none of the manifest's business.
    return httpx.Client(follow_redirects=True, max_redirects=limits.max_redirects, timeout=timeout, trust_env=False)


def _headers(step: FetchStepUrl, request: FetchRequest) -> list[tuple[str, str]]:
    # Stored bytes must be the ones that Content-Length counts: no compression on the way.
    headers = {"user-agent": _USER_AGENT, "accept": "*/*", "accept-encoding": "identity"}
    headers |= _conditions(request.previous)
    for header in step.headers or ():
        headers[header.name.lower()] = fill_templates(header.value, request.variables)
    return list(headers.items())


def _conditions(previous: SourceState | None) -> dict[str, str]:
    if previous is None:
        return {}
    if previous.kind == ETAG:
        return {"if-none-match": previous.value}
    if previous.kind != LAST_MODIFIED:
        return {}
    moment = Timestamp.parse(previous.value).to_datetime()
    return {"if-modified-since": format_datetime(moment.replace(microsecond=0), usegmt=True)}


def _check_status(answer: httpx.Response, url: str) -> None:
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise SourceNotFoundError(f"source not found: {url}")
    if answer.status_code != httpx.codes.OK:
        raise SourceUnreachableError(f"{url}: the server answered {answer.status_code} {answer.reason_phrase}")


def _download(answer: httpx.Response, step: FetchStepUrl, url: str, request: FetchRequest, *, name: str) -> Fetched:
    etag = answer.headers.get("etag")
    modified = None if etag else _last_modified(answer)
    event_time = event_time_of_url(step.event_time, last_modified=modified, system_time=request.system_time)
    state = None
    if etag:
        state = state_of(ETAG, etag)
    elif modified:
        state = state_of(LAST_MODIFIED, str(modified))
    path = request.folder / "download"
    _store(answer, path, url, request.limits)
    return Fetched(path, name, event_time, state)


def _store(answer: httpx.Response, path: Path, url: str, limits: FetchLimits) -> None:
    size = 0
    _check_size(int(answer.headers.get("content-length") or 0), url, limits)
    with path.open("wb") as file:
        for chunk in answer.iter_raw(_CHUNK):
            size += len(chunk)
            _check_size(size, url, limits)
            file.write(chunk)


def _check_size(size: int, url: str, limits: FetchLimits) -> None:
    if size > limits.max_bytes:
        raise TooLargeError(f"{url}: more than {limits.max_bytes} bytes (setting ingest.max_download)")


def _last_modified(answer: httpx.Response) -> Timestamp | None:
    text = answer.headers.get("last-modified")
    try:
        return Timestamp.from_datetime(parsedate_to_datetime(text)) if text else None
    except (ValueError, TypeError, InvalidTimestampError):
        return None
