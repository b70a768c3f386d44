"""What the SQL session of an input promises beyond what the engine does by itself."""

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.session import open_bench, stream


def test_nan_beside_a_single_other_value_is_read_as_nan(tmp_path: Path) -> None:
    pq.write_table(pa.table({"reading": [1.5, math.nan]}), tmp_path / "file.parquet")
    session = open_bench(IngestLimits(), tmp_path).session

    (batch,) = stream(session.read_parquet(str(tmp_path / "file.parquet")))

    assert batch.column("reading")[0].as_py() == 1.5
    assert math.isnan(batch.column("reading")[1].as_py())
