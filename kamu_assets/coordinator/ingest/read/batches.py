"""How many rows are held at once: fewer where records are long, because a batch is held several times."""

from pathlib import Path

from kamu_assets.coordinator.ingest.limits import MIB
from kamu_assets.coordinator.ingest.session import Bench

_SAMPLE_BYTES = 4 * MIB
_BATCH_BYTES = 32 * MIB


def fit_batches(bench: Bench, path: Path) -> None:
    """Let the session read a file of lines in batches of bearable size, judged by its first lines."""
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
    rows = max(_BATCH_BYTES // max(len(sample) // (sample.count(b"\n") + 1), 1), 1)
    if rows < bench.limits.batch_rows:
        bench.session.sql(f"SET datafusion.execution.batch_size = {rows}")
