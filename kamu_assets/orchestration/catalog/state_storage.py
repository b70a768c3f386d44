"""Where the catalog's state lies between the scheduler, which writes it, and the code server, which reads it."""

from pathlib import Path

import structlog
from dagster._core.storage.defs_state.blob_storage_state_storage import UPathDefsStateStorage

from kamu_assets.orchestration.catalog.state import dump_rows, load_rows

log = structlog.get_logger(__name__)


class NodeStateStorage(UPathDefsStateStorage):
    """A state that is lost or damaged is an empty one: the scheduler publishes it anew as soon as it is up.

    Dagster's own would keep the code server, and with it the node, from starting.
    """

    def download_state_to_path(self, key: str, version: str, path: Path) -> None:
        """Write the state to `path`, whatever became of it."""
        try:
            super().download_state_to_path(key, version, path)
            load_rows(path)
        except (OSError, ValueError) as error:
            log.warning("catalog_state_lost", key=key, version=version, reason=str(error).partition("\n")[0])
            path.write_bytes(dump_rows(()))
