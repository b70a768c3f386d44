"""Whether what a transform made fits its dataset (ODF: SetDataSchema)."""

from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.coordinator.ingest.columns import describe_schema, fit_schema
from kamu_assets.coordinator.ingest.errors import NullInRequiredError, UnsupportedColumnNameError
from kamu_assets.odf.data import DataSchema


def fit_output(output: bytes, dataset: DataSchema | None, slice_file: Path, *, name: str) -> DataSchema:
    """The schema of the dataset with this output; refuses other columns, and nulls where there must be none."""
    if dataset is None:
        return _described(output, name)
    for column in _to_be_filled(output, dataset, name):
        _check_filled(slice_file, column, name)
    return dataset


def _described(output: bytes, name: str) -> DataSchema:
    schema = pa.ipc.read_schema(pa.py_buffer(output))
    # Datasets that have such a column keep it.
    if "" in schema.names:
        raise UnsupportedColumnNameError(f"{name}: a column of the query has an empty name; name it with AS")
    return describe_schema(schema, name=name)


# A derivative is brought up to date again and again.
@lru_cache(maxsize=256)
def _to_be_filled(output: bytes, dataset: DataSchema, name: str) -> tuple[str, ...]:
    """Columns that must not hold nulls, and could by their type; refuses other columns than those of the dataset."""
    schema = pa.ipc.read_schema(pa.py_buffer(output))
    fitted = fit_schema(schema, dataset, name=name)
    pairs = zip(fitted, schema, strict=True)
    return tuple(found.name for wanted, found in pairs if found.nullable and not wanted.nullable)


def _check_filled(slice_file: Path, column: str, name: str) -> None:
    with pq.ParquetFile(slice_file) as file:
        nulls = sum(batch.column(0).null_count for batch in file.iter_batches(columns=[column]))
    if nulls:
        raise NullInRequiredError(f"{name}: column `{column}` contains {nulls} null values while none were expected")
