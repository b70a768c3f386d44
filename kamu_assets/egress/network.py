"""Connections to checked addresses: a name is resolved once, and what was checked is what is connected to."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import httpcore

from kamu_assets.egress.policy import Address, EgressPolicy
from kamu_assets.errors import UnavailableError


class DeadlineError(UnavailableError):
    """A transfer took longer in all than it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"not done after {seconds:g} seconds")
        self.seconds = seconds


class Deadline:
    """When a transfer must be done, however lively the other side is."""

    def __init__(self, seconds: float, *, is_over: Callable[[], bool] | None = None) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        # Whether somebody wants it no longer.
        self._is_over = is_over

    def bound(self, timeout: float | None) -> float:
        """The patience of one step of the transfer; DeadlineError when there is none left."""
        left = self._end - time.monotonic()
        if left <= 0 or (self._is_over is not None and self._is_over()):
            raise DeadlineError(self._seconds)
        return left if timeout is None else min(timeout, left)


def resolve(policy: EgressPolicy, host: str, port: int, *, patience: float) -> list[Address]:
    """The addresses of a host, each one checked: a name with one forbidden address among others is refused, too."""
    found = _look_up(host, port, patience)
    if isinstance(found, Exception):
        raise httpcore.ConnectError(f"the host name cannot be resolved ({_reason(found)})") from found
    addresses = list(dict.fromkeys(ip_address(str(place[0]).partition("%")[0]) for *_, place in found))
    for address in addresses:
        policy.check(address, host=host, port=port)
    return addresses


class GuardedNetwork(httpcore.NetworkBackend):
    """How httpcore connects. TLS and HTTP above it go on with the name: certificates are checked against it as ever."""

    def __init__(self, policy: EgressPolicy, deadline: Deadline) -> None:
        self._policy = policy
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers."""
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address in resolve(self._policy, host, port, patience=self._deadline.bound(timeout)):
            try:
                stream = self._sockets.connect_tcp(
                    str(address), port, self._deadline.bound(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _BoundedStream(stream, self._deadline)
        self._deadline.bound(None)
        raise failure

    def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Never: sockets of this machine are nobody's business."""
        raise httpcore.UnsupportedProtocol(f"no connections to {path}")


class _BoundedStream(httpcore.NetworkStream):
    """A connection whose every step ends at the deadline at the latest."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._ended():
            return self._stream.read(max_bytes, self._deadline.bound(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with self._ended():
            self._stream.write(buffer, self._deadline.bound(timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        with self._ended():
            bound = self._deadline.bound(timeout)
            return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, bound), self._deadline)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    @contextmanager
    def _ended(self) -> Iterator[None]:
        """A step that timed out because the whole is due says so."""
        try:
            yield
        except httpcore.TimeoutException:
            self._deadline.bound(None)
            raise


def _look_up(host: str, port: int, patience: float) -> list[Any] | Exception:
    """Ask the system, which has no time-out of its own: a thread that it keeps waiting is left behind."""
    answers: list[list[Any] | Exception] = []

    def ask() -> None:
        try:
            answers.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.append(error)

    thread = threading.Thread(target=ask, name="look-up", daemon=True)
    thread.start()
    thread.join(patience)
    if not answers:
        raise httpcore.ConnectTimeout("the host name is not resolved in time")
    return answers[0]


def _reason(error: Exception) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is not a host name"
