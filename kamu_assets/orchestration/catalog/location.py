"""One code location of the catalog: the state that it loads, and the server that loads it."""

import json
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import structlog
from dagster import DagsterInstance
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.storage.defs_state.base import DefsStateStorage
from dagster._core.storage.defs_state.blob_storage_state_storage import UPathDefsStateStorage
from dagster._grpc.client import DagsterGrpcClient
from dagster._serdes import deserialize_value, serialize_value
from dagster_shared.error import SerializableErrorInfo
from dagster_shared.serdes.objects.models.defs_state_info import DefsStateInfo

from kamu_assets.errors import InvalidError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog.shards import Shard
from kamu_assets.orchestration.catalog.state import CatalogRow, dump_rows

log = structlog.get_logger(__name__)

KEPT_VERSIONS = 5
LOOK_SECONDS = 2


class CatalogLocation:
    """Keeps one location equal to its part of the registry."""

    def __init__(self, *, instance: DagsterInstance, shard: Shard, host: str) -> None:
        self._instance = instance
        self._shard = shard
        self._client = DagsterGrpcClient(host=host, port=shard.port)
        self._published: bytes | None = None
        # Whether the code server may still serve an older state.
        self.is_behind = True
        # Another one after each start and each reload; None until somebody has looked.
        self.server_id: str | None = None
        # How long the code server took to load it the last time.
        self.load_seconds = 0.0

    @property
    def name(self) -> str:
        return self._shard.location

    def load(self) -> None:
        """Look at what is stored; once, before the first `publish`."""
        self._published = self._stored()

    def published_ids(self) -> list[DatasetID]:
        """The datasets in the state that is stored."""
        try:
            return [DatasetID.parse(row["id"]) for row in json.loads(self._published or b"[]")]
        except (ValueError, LookupError, TypeError, InvalidError):
            # It is damaged, and will be replaced.
            return []

    def publish(self, rows: tuple[CatalogRow, ...]) -> None:
        """Store the state as the latest version, unless it is what is stored already."""
        state = dump_rows(rows)
        if state == self._published:
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state"
            path.write_bytes(state)
            self._storage.upload_state_from_path(self._shard.state_key, str(uuid4()), path)
        self._published = state
        self.is_behind = True
        self._prune()
        log.info("catalog_published", location=self._shard.location, datasets=len(rows), bytes=len(state))

    def reload(self) -> None:
        """Let the code server take the latest state in; a server that is not up yet reads it when it starts."""
        info = self._storage.get_latest_defs_state_info() or DefsStateInfo.empty()
        began = time.monotonic()
        try:
            reply = self._client.reload_code_with_state(serialized_defs_state_info=serialize_value(info))
        except DagsterUserCodeUnreachableError:
            return
        self.load_seconds = time.monotonic() - began
        self.is_behind = bool(reply.serialized_error)
        self.server_id = reply.serialized_server_id or self.server_id
        if reply.serialized_error:
            error = deserialize_value(reply.serialized_error, SerializableErrorInfo)
            log.error("catalog_reload_failed", location=self._shard.location, error=error.message)
            # A fresh server loads the latest state from the start; the supervisor starts one.
            self._client.shutdown_server()

    def is_restarted(self) -> bool:
        """Whether the code server is another than at the last look: what it has loaded may have been lost before."""
        try:
            server_id = self._client.get_server_id(timeout=LOOK_SECONDS)
        except DagsterUserCodeUnreachableError:
            return False
        before, self.server_id = self.server_id, server_id
        return before not in {None, server_id}

    def _prune(self) -> None:
        """Remove versions that no process is still about to load."""
        storage = self._storage
        if isinstance(storage, UPathDefsStateStorage):
            folder = storage.base_path / self._shard.state_key
            versions = sorted(folder.iterdir(), key=lambda version: version.stat().st_mtime)
            for version in versions[:-KEPT_VERSIONS]:
                version.unlink(missing_ok=True)

    def _stored(self) -> bytes | None:
        version = self._storage.get_latest_version(self._shard.state_key)
        if version is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state"
            try:
                self._storage.download_state_to_path(self._shard.state_key, version, path)
            except (OSError, ValueError):
                # The pointer outlived its file: publish anew.
                return None
            return path.read_bytes()

    @property
    def _storage(self) -> DefsStateStorage[DagsterInstance]:
        storage = self._instance.defs_state_storage
        if storage is None:
            raise RuntimeError("dagster.yaml has no defs_state_storage")
        return storage
