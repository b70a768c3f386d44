"""Files of FTP servers as sources (RFC 959, 2428): whole or not at all. A source without memory."""

import ftplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import httpcore

from kamu_assets.coordinator.ingest.errors import (
    BadUrlError,
    SourceNotFoundError,
    SourceUnreachableError,
    TooLargeError,
)
from kamu_assets.coordinator.ingest.fetch.addresses import name_of, public_url
from kamu_assets.coordinator.ingest.fetch.event_times import event_time_of_url
from kamu_assets.coordinator.ingest.fetch.model import Fetched, FetchRequest
from kamu_assets.coordinator.ingest.fetch.templates import Filled
from kamu_assets.coordinator.ingest.limits import FetchLimits
from kamu_assets.egress.network import Deadline, DeadlineError, resolve
from kamu_assets.egress.policy import EgressDeniedError, EgressPolicy
from kamu_assets.odf.source import FetchStepUrl

_CHUNK = 1 << 18
_MAX_LINES = 1_000
_NO_FILE = "550"


def fetch_ftp(step: FetchStepUrl, url: Filled, request: FetchRequest) -> Fetched:
    """Download a file in binary mode; user and password are those of the URL, else anonymous."""
    shown = public_url(url.shown)
    event_time = event_time_of_url(step.event_time, last_modified=None, system_time=request.system_time)
    path = request.folder / "download"
    with _told(shown, request.limits):
        parts = urlsplit(url.value)
        with _Session(request.egress, parts.hostname or "", request.limits) as session:
            session.open(parts)
            session.retrieve(unquote(parts.path.removeprefix("/")), path, shown)
    return Fetched(path, name_of(url.shown), event_time, None)


class _Words:
    """Lines of the server. A file would wait anew for each of their letters, whenever that came."""

    def __init__(self, receive: Callable[[], bytes], encoding: str) -> None:
        self._receive = receive
        self._encoding = encoding
        self._said = b""

    def readline(self, limit: int) -> str:
        """The next one, or as much of it; nothing when there is no more."""
        while b"\n" not in self._said and len(self._said) < limit and (more := self._receive()):
            self._said += more
        end = min(self._said.find(b"\n") + 1 or len(self._said), limit)
        line, self._said = self._said[:end], self._said[end:]
        return line.decode(self._encoding)

    def close(self) -> None:
        """The connection is closed by itself."""


class _Session(ftplib.FTP):
    """Both connections go to checked addresses, and each of their steps ends at the deadline."""

    def __init__(self, egress: EgressPolicy, name: str, limits: FetchLimits) -> None:
        super().__init__(timeout=limits.silence_seconds)
        self._egress = egress
        self._name = name
        self._limits = limits
        self._deadline = Deadline(limits.total_seconds)
        self._lines = 0

    def getline(self) -> str:
        """A line of what the server has to say, which cannot go on for ever."""
        self._lines += 1
        if self._lines > _MAX_LINES:
            raise EOFError
        if not isinstance(self.file, _Words):
            connection: Any = self.sock
            heard = partial(self._step, connection, partial(connection.recv, _CHUNK))
            self.file = _Words(heard, self.encoding)  # type: ignore[assignment] # it has what ftplib asks of a file
        return super().getline()

    def open(self, parts: SplitResult) -> None:
        """Log in."""
        failure: OSError = OSError("the host has no address")
        port, silence = parts.port or ftplib.FTP_PORT, self._limits.silence_seconds
        for address in resolve(self._egress, self._name, port, patience=self._deadline.bound(silence)):
            self.timeout = self._deadline.bound(silence)
            try:
                self.connect(str(address), port)
            except OSError as error:
                failure = error
                continue
            self.login(unquote(parts.username or ""), unquote(parts.password or ""))
            return
        raise failure

    def makepasv(self) -> tuple[str, int]:
        """Where the data is: the server chooses the port, and could name somebody else's."""
        host, port = super().makepasv()
        self._egress.check(ip_address(host.partition("%")[0]), host=self._name, port=port)
        return host, port

    def retrieve(self, name: str, path: Path, shown: str) -> None:
        """All bytes of a file, and the server's word that these are all."""
        size = 0
        self.voidcmd("TYPE I")
        promised = None
        with suppress(ftplib.error_perm):
            promised = self.size(name)
        with path.open("wb") as file, self.transfercmd(f"RETR {name}") as connection:
            while chunk := self._step(connection, lambda: connection.recv(_CHUNK)):
                size += len(chunk)
                if size > self._limits.max_bytes:
                    raise TooLargeError(
                        f"{shown}: more than {self._limits.max_bytes} bytes (setting ingest.max_download)"
                    )
                file.write(chunk)
        self.voidresp()
        if promised not in (None, size):
            raise EOFError

    def _step(self, connection: Any, action: Callable[[], Any]) -> Any:
        connection.settimeout(self._deadline.bound(self._limits.silence_seconds))
        try:
            return action()
        except TimeoutError:
            self._deadline.bound(None)
            raise


@contextmanager
def _told(shown: str, limits: FetchLimits) -> Iterator[None]:
    """Tell failures as ours; what the server says is not repeated."""
    try:
        yield
    except EgressDeniedError as error:
        raise EgressDeniedError(shown, error.address, error.what, port=error.port) from None
    except DeadlineError:
        raise SourceUnreachableError(
            f"{shown}: not fetched within {limits.total_seconds:g} seconds (setting ingest.fetch_deadline_seconds)"
        ) from None
    except (TimeoutError, httpcore.ConnectTimeout):
        raise SourceUnreachableError(
            f"{shown}: no data for {limits.silence_seconds:g} seconds (setting ingest.fetch_timeout_seconds)"
        ) from None
    except ftplib.error_perm as error:
        if str(error).startswith(_NO_FILE):
            raise SourceNotFoundError(f"source not found: {shown}") from None
        raise SourceUnreachableError(f"{shown}: the server refused ({str(error)[:3]})") from None
    except (ftplib.Error, EOFError):
        raise SourceUnreachableError(f"{shown}: the answer is truncated or broken") from None
    except ValueError:
        raise BadUrlError(f"{shown}: not a URL of a file") from None
    except (OSError, httpcore.ConnectError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceUnreachableError(f"{shown}: the source is unreachable: {reason}") from None
