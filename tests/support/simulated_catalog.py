"""Code servers and a webserver that stand for Dagster's: they load what Dagster's would, but only when they are told.

Dagster's webserver looks at each code server on a thread of its own, in any order and as late as the machine lets it.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import grpc
import yaml
from dagster import DagsterInstance
from dagster._core.instance import InstanceType
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.run_coordinator import DefaultRunCoordinator
from dagster._core.storage.event_log import InMemoryEventLogStorage
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.runs import InMemoryRunStorage
from dagster._grpc.__generated__ import dagster_api_pb2 as api
from dagster._grpc.__generated__.dagster_api_pb2_grpc import DagsterApiServicer, add_DagsterApiServicer_to_server
from dagster._serdes import serialize_value
from dagster_shared.error import SerializableErrorInfo
from upath import UPath

from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog.shards import shard_at, shards
from kamu_assets.orchestration.catalog.state import load_rows
from kamu_assets.orchestration.catalog.state_storage import NodeStateStorage
from kamu_assets.orchestration.config import AdapterConfig


def instance_at(folder: Path) -> DagsterInstance:
    """One that has nothing but a place for states."""
    return DagsterInstance(
        instance_type=InstanceType.EPHEMERAL,
        local_artifact_storage=LocalArtifactStorage(str(folder)),
        run_storage=InMemoryRunStorage(),
        event_storage=InMemoryEventLogStorage(),
        compute_log_manager=NoOpComputeLogManager(),
        run_coordinator=DefaultRunCoordinator(),
        run_launcher=SyncInMemoryRunLauncher(),
        defs_state_storage=NodeStateStorage(UPath(folder / "states")),
    )


@dataclass
class CodeServer(DagsterApiServicer):
    """Serves the state that was the latest when it was started, or told to load another."""

    instance: DagsterInstance
    state_key: str
    is_up: bool = False
    # How often it cannot load what it should.
    failures: int = 0
    # How often somebody looked which one it is.
    looks: int = 0
    server_id: str = ""
    datasets: frozenset[DatasetID] = frozenset()

    def start(self) -> None:
        self.is_up = True
        self._load()

    def stop(self) -> None:
        self.is_up = False

    def ReloadCodeWithState(self, _request: object, context: grpc.ServicerContext) -> api.ReloadCodeWithStateReply:  # noqa: N802 - Dagster's name
        self._require_up(context)
        if self.failures:
            self.failures -= 1
            error = SerializableErrorInfo("MemoryError: no room", [], "MemoryError")
            return api.ReloadCodeWithStateReply(serialized_error=serialize_value(error))
        self._load()
        return api.ReloadCodeWithStateReply(serialized_server_id=self.server_id)

    def GetServerId(self, _request: object, context: grpc.ServicerContext) -> api.GetServerIdReply:  # noqa: N802 - Dagster's name
        self._require_up(context)
        self.looks += 1
        return api.GetServerIdReply(server_id=self.server_id)

    def ShutdownServer(self, _request: object, context: grpc.ServicerContext) -> api.ShutdownServerReply:  # noqa: N802 - Dagster's name
        self._require_up(context)
        self.stop()
        return api.ShutdownServerReply()

    def _require_up(self, context: grpc.ServicerContext) -> None:
        if not self.is_up:
            context.abort(grpc.StatusCode.UNAVAILABLE, "down")

    def _load(self) -> None:
        storage = self.instance.defs_state_storage
        assert storage is not None
        version = storage.get_latest_version(self.state_key)
        self.datasets, self.server_id = frozenset(), str(uuid4())
        if version is not None:
            path = Path(self.instance.root_directory) / f"loaded-{self.state_key}"
            storage.download_state_to_path(self.state_key, version, path)
            self.datasets = frozenset(row.id for row in load_rows(path))


@dataclass
class Webserver:
    """Knows the locations that its workspace names, each as it was at the last look."""

    config: AdapterConfig
    servers: dict[str, CodeServer]
    # What it has loaded from each: the server's id, and the datasets.
    view: dict[str, tuple[str, frozenset[DatasetID]]] = field(default_factory=dict)
    # Whether it looks when it is asked to, or is too busy.
    is_slow: bool = False
    _http: http.server.ThreadingHTTPServer | None = None

    @property
    def is_up(self) -> bool:
        return self._http is not None

    @property
    def datasets(self) -> frozenset[DatasetID]:
        return frozenset[DatasetID]().union(*(loaded for _, loaded in self.view.values()))

    def start(self) -> None:
        if self._http is None:
            self._load_workspace()
            address = (self.config.host, self.config.webserver_port)
            self._http = http.server.ThreadingHTTPServer(address, lambda *args: _Door(self, *args))
            threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None
            self.view = {}

    def look(self, location: str) -> None:
        """See what a server serves now; one that is down is shown as it was."""
        server = self.servers[location]
        if server.is_up and location in self.view:
            self.view[location] = (server.server_id, server.datasets)

    def answer(self, query: str, name: str | None) -> dict[str, object]:
        if "reloadWorkspace" in query:
            self._load_workspace()
            return {"reloadWorkspace": {"__typename": "Workspace"}}
        if "reloadRepositoryLocation" in query:
            if name in self.view and not self.is_slow:
                self.look(name)
            return {"reloadRepositoryLocation": {"__typename": "WorkspaceLocationEntry"}}
        entries = [{"name": name, "versionKey": json.dumps([server, None])} for name, (server, _) in self.view.items()]
        return {"locationStatusesOrError": {"entries": entries}}

    def _load_workspace(self) -> None:
        found = yaml.safe_load((self.config.dagster_home / "workspace.yaml").read_text(encoding="utf-8"))
        names = {each["grpc_server"]["location_name"] for each in found["load_from"]} & self.servers.keys()
        self.view = {name: self.view.get(name, ("", frozenset())) for name in names}
        for name in names:
            self.look(name)


class _Door(http.server.BaseHTTPRequestHandler):
    def __init__(self, webserver: Webserver, *args: object) -> None:
        self._webserver = webserver
        super().__init__(*args)  # type: ignore[arg-type] # whatever the server gives

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"data": self._webserver.answer(asked["query"], asked["variables"].get("name"))}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Keep quiet."""


@dataclass
class SimulatedCatalog:
    """All of a node's, as many as its workspace may name."""

    config: AdapterConfig
    instance: DagsterInstance
    servers: dict[str, CodeServer]
    webserver: Webserver

    def supervise(self) -> None:
        """Start and end code servers as the node's files say."""
        wanted = {each.location for each in shards(self.config)}
        for name, server in self.servers.items():
            if name not in wanted:
                server.stop()
            elif not server.is_up:
                server.start()


@contextlib.contextmanager
def simulated_catalog(config: AdapterConfig, *, most: int) -> Iterator[SimulatedCatalog]:
    """With nothing started."""
    with contextlib.ExitStack() as stack:
        instance = stack.enter_context(instance_at(config.dagster_home))
        servers = {}
        for number in range(1, most + 1):
            shard = shard_at(config, number)
            servers[shard.location] = CodeServer(instance, shard.state_key)
            listener = grpc.server(ThreadPoolExecutor(2))
            add_DagsterApiServicer_to_server(servers[shard.location], listener)  # type: ignore[no-untyped-call] # generated
            listener.add_insecure_port(f"{config.host}:{shard.port}")
            listener.start()
            stack.callback(listener.stop, None)
        webserver = Webserver(config, servers)
        stack.callback(webserver.stop)
        yield SimulatedCatalog(config, instance, servers, webserver)
