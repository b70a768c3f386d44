"""What a slice is that another program wrote: an engine behind the wire names its offsets and nothing else."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kamu_assets.engines.engine import EngineContractError
from kamu_assets.engines.slices.facts import SliceStats
from kamu_assets.engines.slices.listing import ipc_schema
from kamu_assets.odf.arrow_schema import restore_arrow_types
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.data_hash import UPSTREAM_BATCH_ROWS, LogicalHasher
from kamu_assets.odf.multihash import Multicodec, Multihash
from kamu_assets.odf.timestamp import Timestamp

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class SliceFile:
    """A file that an engine says to have written."""

    path: Path
    vocab: DatasetVocabulary
    first_offset: int


@dataclass(frozen=True, slots=True)
class FoundSlice:
    """What is in it."""

    stats: SliceStats
    schema: bytes


def read_foreign_slice(slice_file: SliceFile) -> FoundSlice:
    """Hash and count the rows; an EngineContractError when they are not numbered on from the first offset."""
    try:
        with pq.ParquetFile(slice_file.path) as file:
            return _read(slice_file, file)
    except (pa.ArrowException, KeyError) as error:
        raise EngineContractError(f"the engine wrote a data file that cannot be read: {error}") from error


def _read(slice_file: SliceFile, file: Any) -> FoundSlice:
    schema = _embedded_schema(file)
    hasher, rows, newest = LogicalHasher(schema), 0, None
    for batch in file.iter_batches(UPSTREAM_BATCH_ROWS):
        restored = restore_arrow_types(batch, schema)
        hasher.update(restored)
        _check_offsets(restored.column(slice_file.vocab.offset_column), slice_file.first_offset + rows)
        rows += restored.num_rows
        time = pc.max(restored.column(slice_file.vocab.event_time_column))
        if time.is_valid:
            newest = max(_millis(time), newest) if newest is not None else _millis(time)
    stats = SliceStats(
        num_records=rows,
        physical_hash=_physical_hash(slice_file.path),
        logical_hash=hasher.digest(),
        size=slice_file.path.stat().st_size,
        first_offset=slice_file.first_offset if rows else None,
        last_offset=slice_file.first_offset + rows - 1 if rows else None,
        max_event_time=None if newest is None else Timestamp.from_millis(newest),
    )
    return FoundSlice(stats, ipc_schema(schema.remove_metadata()))


def _millis(time: pa.Scalar) -> int:
    return int(time.cast(pa.timestamp("ms"), safe=False).cast(pa.int64()).as_py())


def _check_offsets(offsets: pa.Array, first: int) -> None:
    expected = pa.array(range(first, first + len(offsets)), pa.int64())
    if not offsets.equals(expected):
        raise EngineContractError(f"the engine did not number the rows of its data file on from offset {first}")


def _physical_hash(path: Path) -> Multihash:
    digest = hashlib.sha3_256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return Multihash(Multicodec.SHA3_256, digest.digest())


def _embedded_schema(file: Any) -> pa.Schema:
    """Some types are bare integers in Parquet; the Arrow schema that writers embed tells them."""
    embedded = (file.metadata.metadata or {}).get(b"ARROW:schema")
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(embedded))) if embedded else file.schema_arrow
