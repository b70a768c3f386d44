"""How soon a server and we notice that the other one is gone: on a connection that somebody waits for, in seconds.

A process that dies is noticed at once. A machine that loses its power, or a network that only drops what is sent, is
not: only questions without an answer tell of it (tcp(7)).
"""

import contextlib
import socket

from sqlalchemy import Connection, text

NOTICED_SECONDS = 3
_IDLE_SECONDS = 1
_QUESTIONS = NOTICED_SECONDS - _IDLE_SECONDS


def notice_soon(connection: Connection) -> None:
    """Let both ends of a connection to PostgreSQL give up on the other after a few seconds of silence."""
    for name, value in (
        ("tcp_keepalives_idle", _IDLE_SECONDS),
        ("tcp_keepalives_interval", 1),
        ("tcp_keepalives_count", _QUESTIONS),
        ("tcp_user_timeout", NOTICED_SECONDS * 1000),
    ):
        connection.execute(text(f"SET {name} = {value}"))
    driver = connection.connection.driver_connection
    if driver is not None:
        _ours(driver.fileno())


def _ours(descriptor: int) -> None:
    # A server of this machine may be reached without TCP.
    with socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as copy, contextlib.suppress(OSError):
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE_SECONDS)
        copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
        copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _QUESTIONS)
        copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, NOTICED_SECONDS * 1000)
