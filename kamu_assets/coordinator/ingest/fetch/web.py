"""Resources of web servers as sources: conditional requests, streamed to a file, complete or not at all."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from kamu_assets.coordinator.ingest.errors import TooLargeError, UnsupportedEncodingError
from kamu_assets.coordinator.ingest.fetch.addresses import name_of, public_url
from kamu_assets.coordinator.ingest.fetch.event_times import event_time_of_url
from kamu_assets.coordinator.ingest.fetch.headers import source_headers, split_user
from kamu_assets.coordinator.ingest.fetch.model import Fetched, FetchRequest
from kamu_assets.coordinator.ingest.fetch.savepoints import Savepoint
from kamu_assets.coordinator.ingest.fetch.templates import Filled
from kamu_assets.coordinator.ingest.fetch.validators import Validators
from kamu_assets.coordinator.ingest.fetch.web_errors import check_status, told_of
from kamu_assets.coordinator.ingest.limits import FetchLimits
from kamu_assets.coordinator.ingest.prepare.gzip_members import gunzip
from kamu_assets.egress.http import Get, TransferLimits, open_get
from kamu_assets.odf.source import FetchStepUrl

# Stored bytes must be the ones that Content-Length counts: no compression on the way.
_OURS = {"user-agent": "kamu-node", "accept": "*/*", "accept-encoding": "identity"}
_CHUNK = 1 << 20
_GZIP = {"gzip", "x-gzip"}


def fetch_http(step: FetchStepUrl, url: Filled, request: FetchRequest) -> Fetched | None:
    """Download what is at `url`; None when the server says that it did not change."""
    shown = public_url(url.shown)
    with told_of(shown, request.limits):
        address, private = split_user(url.value)
        private |= source_headers(step, request.variables)
        return _Fetch(step, address, private, name_of(url.shown), shown, request).run()


@dataclass(frozen=True, slots=True)
class _Fetch:
    step: FetchStepUrl
    url: str
    private: dict[str, str]
    name: str
    # The URL for messages.
    shown: str
    request: FetchRequest

    def run(self) -> Fetched | None:
        slot, previous = self.request.savepoint, Validators.of_state(self.request.previous)
        kept = slot.find(self._key) if slot else None
        wanted = kept.validators if kept else previous
        get = Get(self.url, headers=_OURS | wanted.conditions, private=self.private)
        with open_get(get, self.request.egress, _patience(self.request.limits)) as answer:
            # Without conditions there is nothing that may be unchanged (RFC 9110, 15.4.5).
            if answer.status_code != httpx.codes.NOT_MODIFIED or not wanted.conditions:
                check_status(answer, self.shown)
                return self._new(answer, kept)
            if kept is None:
                return None
            if kept.validators.may_be_those_of(answer.headers) and (found := self._same_as(kept)):
                return found
        # What was kept is gone, or the server speaks of another version: ask again as if nothing had been kept.
        return replace(self, request=replace(self.request, savepoint=None)).run()

    @property
    def _key(self) -> str:
        """Same step, same place, same history: the same answer may be expected."""
        state = self.request.previous
        parts = [
            self.step.model_dump_json(),
            self.url,
            sorted(self.private.items()),
            *(["unpacks gzip"] if self.request.unpacks_gzip else []),
            state.model_dump_json() if state else None,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _new(self, answer: httpx.Response, kept: Savepoint | None) -> Fetched | None:
        validators = Validators.of_answer(answer.headers)
        if kept is not None and validators.state == self.request.previous:
            # The question was about what is kept, but the source is back at what was ingested.
            return None
        path = self.request.folder / "download"
        self._store(answer, path)
        if self.request.savepoint and validators.state not in (None, self.request.previous):
            self.request.savepoint.keep(self._key, Savepoint(path, validators))
        return self._fetched(path, validators)

    def _store(self, answer: httpx.Response, path: Path) -> None:
        """Without the coding of the transfer (RFC 9110, 8.4), unless it is what the source expects."""
        is_gzipped = _is_gzipped(answer, self.shown) and not self.request.unpacks_gzip
        limits = self.request.limits
        _check_size(int(answer.headers.get("content-length") or 0), self.shown, limits)
        received = path.with_name("received") if is_gzipped else path
        _write(answer.iter_raw(_CHUNK), received, self.shown, limits)
        if is_gzipped:
            with received.open("rb") as file:
                _write(gunzip(file, name=self.shown), path, self.shown, limits)
            received.unlink()

    def _same_as(self, kept: Savepoint) -> Fetched | None:
        path = self.request.folder / "download"
        # A name of our own: another process may remove what is kept while it is read here, or before.
        with suppress(OSError):
            os.link(kept.content, path)
            return self._fetched(path, kept.validators)
        return None

    def _fetched(self, path: Path, validators: Validators) -> Fetched:
        event_time = event_time_of_url(
            self.step.event_time, last_modified=validators.last_modified, system_time=self.request.system_time
        )
        return Fetched(path, self.name, event_time, validators.state)


def _patience(limits: FetchLimits) -> TransferLimits:
    return TransferLimits(
        silence_seconds=limits.silence_seconds,
        total_seconds=limits.total_seconds,
        max_redirects=limits.max_redirects,
    )


def _is_gzipped(answer: httpx.Response, shown: str) -> bool:
    codings = [each.strip().lower() for each in answer.headers.get_list("content-encoding", split_commas=True)]
    found = [each for each in codings if each not in ("", "identity")]
    if len(found) > 1 or not set(found) <= _GZIP:
        raise UnsupportedEncodingError(
            f"{shown}: the server sends it with Content-Encoding {', '.join(found)}, which the node did not ask for:"
            " only gzip is understood"
        )
    return bool(found)


def _write(pieces: Iterator[bytes], path: Path, shown: str, limits: FetchLimits) -> None:
    size = 0
    with path.open("wb") as file:
        for piece in pieces:
            size += len(piece)
            _check_size(size, shown, limits)
            file.write(piece)


def _check_size(size: int, shown: str, limits: FetchLimits) -> None:
    if size > limits.max_bytes:
        raise TooLargeError(f"{shown}: more than {limits.max_bytes} bytes (setting ingest.max_download)")
