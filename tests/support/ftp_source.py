"""A small FTP server to fetch from: passive mode only; it can stop in the middle, drip, or point at somebody else."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class FtpSource:
    """The server, its files, its faults, and what was asked of it."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    # Sends so many bytes, then hangs up: both connections, or the data only with a word of regret.
    cut_after: int | None = None
    admits_cut: bool = False
    knows_sizes: bool = True
    drip_seconds: float = 0
    # What it says before it is asked.
    greeting: bytes = b"220 hello\r\n"
    # After each letter of it.
    greeting_pause_seconds: float = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"ftp://127.0.0.1:{self.port}"


@contextmanager
def ftp_source() -> Iterator[FtpSource]:
    """A running server."""
    listener = socket.create_server(("127.0.0.1", 0))
    source = FtpSource(listener.getsockname()[1])
    thread = threading.Thread(target=_serve, args=(listener, source), daemon=True)
    thread.start()
    try:
        yield source
    finally:
        source.stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _serve(listener: socket.socket, source: FtpSource) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_talk, args=(connection, source), daemon=True).start()


_SIMPLE = {"USER": b"331 password?", "PASS": b"230 welcome", "TYPE": b"200 fine", "QUIT": b"221 bye"}


def _talk(control: socket.socket, source: FtpSource) -> None:
    session = _Session(source)
    with control, suppress(OSError, _HungUpError):
        _greet(control, source)
        for raw in control.makefile("rb"):
            line = raw.decode().strip()
            source.commands.append(line)
            command, _, argument = line.partition(" ")
            for reply in session.replies(command, argument):
                control.sendall(reply + b"\r\n")
    session.close()


def _greet(control: socket.socket, source: FtpSource) -> None:
    if not source.greeting_pause_seconds:
        control.sendall(source.greeting)
        return
    for letter in source.greeting:
        control.sendall(bytes([letter]))
        if source.stopping.wait(source.greeting_pause_seconds):
            return


class _HungUpError(Exception):
    pass


class _Session:
    def __init__(self, source: FtpSource) -> None:
        self._source = source
        self._data: socket.socket | None = None

    def replies(self, command: str, argument: str) -> Iterator[bytes]:
        source = self._source
        if command in _SIMPLE:
            yield _SIMPLE[command]
        elif command == "PASV":
            yield self._passive()
        elif command == "SIZE" and source.knows_sizes and argument in source.files:
            yield b"213 %d" % len(source.files[argument])
        elif command == "RETR" and argument in source.files and self._data is not None:
            yield b"150 here it comes"
            yield self._sent(self._data, source.files[argument])
        else:
            yield b"550 secret reason"

    def close(self) -> None:
        if self._data is not None:
            self._data.close()

    def _passive(self) -> bytes:
        self._data = socket.create_server(("127.0.0.1", 0))
        # The address is a lie: clients must not follow it.
        return b"227 passive (10,0,0,1,%d,%d)" % divmod(self._data.getsockname()[1], 256)

    def _sent(self, listener: socket.socket, content: bytes) -> bytes:
        if _send(listener, content, self._source):
            return b"226 done"
        if self._source.admits_cut:
            return b"426 sorry"
        raise _HungUpError


def _send(listener: socket.socket, content: bytes, source: FtpSource) -> bool:
    with listener:
        connection, _ = listener.accept()
    with connection:
        if source.drip_seconds:
            for byte in content:
                connection.sendall(bytes([byte]))
                if source.stopping.wait(source.drip_seconds):
                    return False
            return True
        connection.sendall(content[: source.cut_after])
    return source.cut_after is None
