"""Starting and stopping a whole node on this machine. Light: it lives as long as the node."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

from kamu_api.cli.node.home_lock import HomeLock
from kamu_api.cli.node.node_log import NodeLog
from kamu_api.cli.node.processes import preparation_spec, process_specs, recovery_of
from kamu_api.cli.node.supervisor import ProcessFailedError, Supervisor
from kamu_assets.errors import InvalidError, UnavailableError
from kamu_assets.settings import Settings, secret_values

# Nothing is gained by giving up on a machine that is merely busy: what cannot start ends, and that is told at once.
READY_PATIENCE = 600.0
_LEAST_ROOM = 64 << 10


class PortTakenError(UnavailableError):
    def __init__(self, setting: str, host: str, port: int) -> None:
        variable = "KAMU_NODE__" + setting.replace(".", "__").upper()
        super().__init__(
            f"{host}:{port} is in use by another program; free it, or set another port: "
            f"{variable} in the environment, or `{setting}` in the home's node.yaml"
        )


def run_node(settings: Settings) -> None:
    """Start every process, say where the node is, and watch until Ctrl-C or SIGTERM."""
    settings.home.mkdir(parents=True, exist_ok=True)
    HomeLock(settings.home).acquire()
    _require_free_ports(settings)
    log = NodeLog(
        settings.log_path / "node.log",
        console=_write_line,
        as_json=settings.log.format == "json",
        secrets=secret_values(settings),
    )
    supervisor = Supervisor(
        process_specs(settings),
        log=log,
        preparation=preparation_spec(settings),
        # The catalog may need more code servers than at the start.
        wanted=partial(process_specs, settings),
        recovery=recovery_of(settings),
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: supervisor.stop())
    ready = _ready_file(settings)
    try:
        if _started(settings, supervisor):
            ready.write_text("ready\n")
            for line in address_lines(settings):
                log.say("node", line)
        supervisor.run()
    finally:
        ready.unlink(missing_ok=True)
        supervisor.end()
        log.say("node", "stopped")


def start_detached(settings: Settings) -> None:
    """Start the node in the background; return when it is ready, raise `ProcessFailedError` if it is not."""
    log = settings.log_path / "start.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    _ready_file(settings).unlink(missing_ok=True)
    command = [sys.executable, "-m", "kamu_api.cli.main", "up", "--home", str(settings.home)]
    with log.open("wb") as output:
        node = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + READY_PATIENCE
    while not _ready_file(settings).exists():
        if node.poll() is not None or time.monotonic() > deadline:
            raise ProcessFailedError(f"the node did not start:\n{_last_words(log)}")
        time.sleep(0.1)
    for line in (*address_lines(settings), "The node runs in the background; `kamu-node down` stops it."):
        _write_line(line)


def stop_node(settings: Settings) -> bool:
    """Stop the node of this home and wait for its end; False if none was running."""
    lock = HomeLock(settings.home)
    owner = lock.owner()
    if owner is None:
        return False
    os.kill(owner, signal.SIGTERM)
    while lock.owner() == owner:
        time.sleep(0.1)
    return True


def address_lines(settings: Settings) -> list[str]:
    """Where the node can be reached, for people."""
    base = f"http://{settings.http.host}:{settings.http.port}"
    return [
        f"API      {base}          (health: {base}/system/health)",
        f"Dagster  http://{settings.dagster.host}:{settings.dagster.webserver_port}",
        f"Token    {settings.keys_path / 'admin.token'}          (writes carry it as a bearer token)",
    ]


def _started(settings: Settings, supervisor: Supervisor) -> bool:
    """Start the API, then the others; False if the node is stopped meanwhile."""
    health = f"http://{settings.http.host}:{settings.http.port}/system/health"
    dagster = f"http://{settings.dagster.host}:{settings.dagster.webserver_port}/server_info"
    # Clients can be served long before Dagster's processes have loaded what they need. The API makes the node's own
    # tables, so that the others find them.
    supervisor.start_first()
    if not _answered([health], supervisor):
        return False
    supervisor.start()
    # What waits for more than that, a consumer that fails for instance, can be looked at while the node runs.
    return _answered([f"{health}?type=startup", dagster], supervisor)


def _answered(urls: list[str], supervisor: Supervisor) -> bool:
    """Wait until each has answered and the preparation is done; False if the node is stopped before."""
    deadline = time.monotonic() + READY_PATIENCE
    while urls or not supervisor.is_prepared:
        supervisor.check()
        if time.monotonic() > deadline:
            waits_for = urls[0] if urls else "the preparation"
            raise ProcessFailedError(f"no answer from {waits_for} within {READY_PATIENCE:g} s")
        if supervisor.is_stopping:
            return False
        urls = [url for url in urls if not _answers(url)]
        if not urls:
            supervisor.hurry()
        time.sleep(0.05)
    return True


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - an address of ours
            document: Any = json.load(answer)
            return bool(document)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _require_free_ports(settings: Settings) -> None:
    wanted = {
        "http.port": (settings.http.host, settings.http.port),
        "dagster.webserver_port": (settings.dagster.host, settings.dagster.webserver_port),
        "dagster.catalog_port": (settings.dagster.host, settings.dagster.catalog_port),
        "dagster.flows_port": (settings.dagster.host, settings.dagster.flows_port),
    }
    for setting, (host, port) in wanted.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise PortTakenError(setting, host, port) from error
                reason = f"cannot listen on {host}:{port}: {error.strerror}"
                raise InvalidError(f"{reason}; see `{setting}` and its `host` in `kamu-node config list`") from error


def _ready_file(settings: Settings) -> Path:
    return settings.run_path / "ready"


def _last_words(log: Path, count: int = 15) -> str:
    """What it said before it ended; on a full disk there is no room even for that."""
    lines = log.read_text(errors="replace").splitlines()[-count:]
    if lines or shutil.disk_usage(log.parent).free > _LEAST_ROOM:
        return "\n".join(lines)
    return f"no space left on the disk of {log.parent}: free some and repeat"


def _write_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
