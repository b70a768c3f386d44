"""Data slices as Parquet files, read into the Arrow types their writer meant."""

from __future__ import annotations

import base64
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.odf.arrow_schema import restore_arrow_types
from kamu_assets.odf.data_hash import LogicalHasher
from kamu_assets.odf.multihash import Multihash


class SliceFile:
    """The content of one data file."""

    def __init__(self, raw: bytes) -> None:
        file = pq.ParquetFile(io.BytesIO(raw))
        self.schema = _embedded_schema(file)
        # Without what only the embedded schema tells, as most tools show it.
        self.shown_schema = file.schema_arrow
        self.batches = [restore_arrow_types(batch, self.schema) for batch in file.iter_batches()]
        self.table = pa.Table.from_batches(self.batches, schema=self.schema)

    def logical_hash(self) -> Multihash:
        hasher = LogicalHasher(self.schema)
        for batch in self.batches:
            hasher.update(batch)
        return hasher.digest()


def _embedded_schema(file: Any) -> pa.Schema:
    embedded = (file.metadata.metadata or {}).get(b"ARROW:schema")
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(embedded))) if embedded else file.schema_arrow


def field_text(field: Any) -> str:
    """Name, type and `not null` of a field in one line."""
    return str(field).removeprefix("pyarrow.Field<").removesuffix(">")
