"""Tells the catalog location which datasets exist: first change at once, then at most one reload every two seconds."""

import tempfile
from collections.abc import Collection, Iterator, Sequence
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

from kamu_assets.database.database import Database
from kamu_assets.database.messages import Message
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.lineage import Lineage
from kamu_assets.datasets.messages import DatasetCreated, DatasetDeleted, DatasetRenamed, DatasetUpdated
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.orchestration.catalog import Catalog
from kamu_assets.orchestration.catalog_state import CatalogRow, dump_rows
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.following import follow
from kamu_assets.orchestration.names import CATALOG_STATE_KEY, key_of

log = structlog.get_logger(__name__)

CONSUMER = "catalog"
SECONDS_BETWEEN = 2.0
KEPT_VERSIONS = 5
_SHOWN_EVENTS = frozenset(
    {"SetInfo", "SetTransform", "SetDataSchema", "SetPollingSource", "DisablePollingSource"}
    | {"AddPushSource", "DisablePushSource"}
)


class CatalogPublisher:
    """Keeps the state of the catalog location equal to the registry. One per node."""

    def __init__(
        self,
        *,
        instance: DagsterInstance,
        config: AdapterConfig,
        catalog: Catalog,
        database: Database,
        outbox: Outbox,
    ) -> None:
        self._instance = instance
        self._catalog = catalog
        self._database = database
        self._outbox = outbox
        self._lineage = Lineage()
        self._client = DagsterGrpcClient(host=config.host, port=config.catalog_port)
        self._rows: dict[DatasetID, CatalogRow] = {}
        self._published: bytes | None = None
        # Whether the code server may still serve an older state.
        self._behind = True

    def load(self) -> None:
        """Read the whole registry; once, before the first step."""
        self._published = self._stored()
        self._rows = self._catalog.rows(self._catalog.ids())
        self._publish()

    def step(self) -> bool:
        """Publish what changed; tells whether it pays to come back soon."""
        changed = follow(CONSUMER, self._hear, outbox=self._outbox, database=self._database)
        if self._behind:
            self._reload()
        return changed or self._behind

    def _hear(self, messages: Sequence[Message]) -> None:
        stale = {dataset for message in messages for dataset in self._affected(message)}
        self._refresh(stale)
        if stale:
            self._publish()
        self._wipe(list(_vanished(messages)))

    def _affected(self, message: Message) -> Collection[DatasetID]:
        match message:
            case DatasetCreated() | DatasetDeleted():
                return [message.dataset_id]
            case DatasetRenamed():
                with self._database.reading() as tx:
                    # Derivatives name their inputs.
                    return [message.dataset_id, *self._lineage.dependents(tx, message.dataset_id)]
            case DatasetUpdated() if not _SHOWN_EVENTS.isdisjoint(message.event_kinds):
                return [message.dataset_id]
            case _:
                return []

    def _refresh(self, stale: Collection[DatasetID]) -> None:
        for dataset in stale:
            self._rows.pop(dataset, None)
        self._rows |= self._catalog.rows(stale)

    def _publish(self) -> None:
        """Store the state as the latest version, unless it is what is stored already."""
        rows = tuple(sorted(self._rows.values(), key=lambda row: (row.account, row.name, row.id)))
        state = dump_rows(rows)
        if state == self._published:
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state"
            path.write_bytes(state)
            self._storage.upload_state_from_path(CATALOG_STATE_KEY, str(uuid4()), path)
        self._published = state
        self._behind = True
        self._prune()
        log.info("catalog_published", datasets=len(rows), bytes=len(state))

    def _prune(self) -> None:
        """Remove versions that no process is still about to load."""
        storage = self._storage
        if isinstance(storage, UPathDefsStateStorage):
            folder = storage.base_path / CATALOG_STATE_KEY
            versions = sorted(folder.iterdir(), key=lambda version: version.stat().st_mtime)
            for version in versions[:-KEPT_VERSIONS]:
                version.unlink(missing_ok=True)

    def _reload(self) -> None:
        """Let the code server take the latest state in; a server that is not up yet reads it when it starts."""
        info = self._storage.get_latest_defs_state_info() or DefsStateInfo.empty()
        try:
            reply = self._client.reload_code_with_state(serialized_defs_state_info=serialize_value(info))
        except DagsterUserCodeUnreachableError:
            return
        self._behind = False
        if reply.serialized_error:
            error = deserialize_value(reply.serialized_error, SerializableErrorInfo)
            log.error("catalog_reload_failed", error=error.message)
            # A fresh server loads the latest state from the start; the supervisor starts one.
            self._client.shutdown_server()

    def _wipe(self, gone: Collection[DatasetAlias]) -> None:
        """Let names without a dataset vanish from the UI."""
        taken = {(row.account, row.name) for row in self._rows.values()}
        keys = [key_of(alias) for alias in gone if (str(alias.account), str(alias.name)) not in taken]
        if keys:
            self._instance.wipe_assets(keys)

    def _stored(self) -> bytes | None:
        version = self._storage.get_latest_version(CATALOG_STATE_KEY)
        if version is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state"
            try:
                self._storage.download_state_to_path(CATALOG_STATE_KEY, version, path)
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


def _vanished(messages: Sequence[Message]) -> Iterator[DatasetAlias]:
    for message in messages:
        match message:
            case DatasetDeleted():
                yield message.alias
            case DatasetRenamed():
                yield message.old_alias
            case _:
                continue
