"""Looks at a node from outside, whether it runs or not, and changes nothing."""

import json
import os
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from kamu_api.cli.node.home_lock import HomeLock
from kamu_api.cli.node.processes import process_specs
from kamu_api.cli.node.status_model import DiskStatus, NodeStatus, PortStatus, ProcessStatus
from kamu_api.cli.node.status_work import work_of
from kamu_assets.errors import KamuError
from kamu_assets.monitoring.process_figures import ProcessFigures, all_processes, family, named_children
from kamu_assets.orchestration.catalog.shards import shards
from kamu_assets.settings import Settings, adapter_config

_PATIENCE_SECONDS = 5.0
_PACKAGES = ("kamu-node", "dagster", "datafusion", "pyarrow")


def status_of(settings: Settings) -> NodeStatus:
    """All that there is to say."""
    pid = HomeLock(settings.home).owner() if settings.home.is_dir() else None
    work, no_work = None, None
    try:
        work = work_of(settings)
    except KamuError as error:
        no_work = str(error)
    return NodeStatus(
        home=str(settings.home),
        pid=pid,
        reason=_reason(settings) if pid is not None else None,
        processes=_processes(settings, pid) if pid is not None else (),
        ports=_ports(settings),
        work=work,
        no_work=no_work,
        disks=list(_disks(settings)),
        versions=_versions(),
    )


def _reason(settings: Settings) -> str | None:
    """Why the node is not ready, in its own words; None if it is."""
    url = f"http://{settings.http.host}:{settings.http.port}/system/health?type=readiness"
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return _told(error)
    except (urllib.error.URLError, OSError) as error:
        return f"the API does not answer: {getattr(error, 'reason', error)}"


def _told(error: urllib.error.HTTPError) -> str:
    try:
        document: Any = json.load(error)
        return str(document["reason"])
    except (ValueError, KeyError, TypeError):
        return f"the API answers with status {error.code}"


def _processes(settings: Settings, supervisor: int) -> Sequence[ProcessStatus]:
    among = all_processes()
    own = [_process("supervisor", each, [each]) for each in among if each.pid == supervisor]
    commands = ((spec.name, spec.argv) for spec in process_specs(settings))
    children = named_children(supervisor, commands, among)
    return [*own, *(_process(name, each, list(family(each.pid, among))) for name, each in children)]


def _process(name: str, process: ProcessFigures, whole: list[ProcessFigures]) -> ProcessStatus:
    memory = sum(each.memory_bytes for each in whole)
    return ProcessStatus(name, process.pid, process.uptime_seconds, memory)


def _ports(settings: Settings) -> Sequence[PortStatus]:
    dagster = settings.dagster
    ports = {
        "api": (settings.http.host, settings.http.port),
        "dagster": (dagster.host, dagster.webserver_port),
        **{each.location: (dagster.host, each.port) for each in shards(adapter_config(settings))},
        "flows": (dagster.host, dagster.flows_port),
    }
    return [PortStatus(name, f"{host}:{port}", _is_open(host, port)) for name, (host, port) in ports.items()]


def _is_open(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE_SECONDS):
            return True
    except OSError:
        return False


def _disks(settings: Settings) -> Iterator[DiskStatus]:
    """One line for each file system."""
    seen = set()
    for path in (settings.home, settings.root_path, settings.derivative_path):
        place = _existing(path)
        device = os.stat(place).st_dev  # noqa: PTH116 - as short
        if device not in seen:
            seen.add(device)
            usage = shutil.disk_usage(place)
            yield DiskStatus(str(place), usage.free, usage.total)


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _versions() -> Mapping[str, str]:
    found = {"python": python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
