"""The Parquet file of a slice, hashed as it is written."""

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.engines.slices.encoding import (
    WORTH_A_SAMPLE_ROWS,
    diverse_columns,
    parquet_options,
)
from kamu_assets.engines.slices.facts import Encodings
from kamu_assets.engines.slices.lane import Lane
from kamu_assets.engines.slices.storable import as_schema, file_schema, schema_hint
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.multihash import Multicodec, Multihash

GROUP_BYTES: Final = 64 << 20
_GROUP_ROWS: Final = 1 << 20
_UNHASHED_BYTES: Final = 8 << 20
# So much is made in memory and written at once: a Parquet writer comes with many small pieces.
_SMALL_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How rows of one schema become a file."""

    schema: pa.Schema
    # The types under which rows go to the Parquet writer, and the entry in the metadata that tells their own.
    written: pa.Schema
    hint: Mapping[str, str]
    vocab: DatasetVocabulary
    encodings: Encodings
    # As long as rows are too few to choose by.
    options: Mapping[str, Any]

    @classmethod
    def of(cls, schema: pa.Schema, vocab: DatasetVocabulary, encodings: Encodings) -> Self:
        """For a storable schema."""
        options = parquet_options(schema, vocab, encodings, diverse=frozenset())
        return cls(schema, file_schema(schema), schema_hint(schema), vocab, encodings, options)

    def options_for(self, first: pa.RecordBatch) -> Mapping[str, Any]:
        """Chosen by the first of many rows."""
        return parquet_options(self.schema, self.vocab, self.encodings, diverse=diverse_columns(first))


class SliceFile:
    """A new file at `path`. Rows are held until they fill a row group."""

    def __init__(self, path: Path, file_format: FileFormat) -> None:
        self._format = file_format
        self._file = _HashingFile(path.open("xb"))
        self._parquet: pq.ParquetWriter | None = None
        self._group: list[pa.RecordBatch] = []
        self._group_rows = self._group_bytes = 0
        # What the disk has while rows still come need not be waited for when the file is synced.
        self._written_out = Lane("slice-write-out", self._file.write_out, limit_bytes=GROUP_BYTES)

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows that have the slice's schema."""
        self._group.append(as_schema(batch, self._format.written))
        self._group_rows += batch.num_rows
        self._group_bytes += batch.nbytes
        if self._group_rows >= _GROUP_ROWS or self._group_bytes >= GROUP_BYTES:
            self._write_group()
            self._written_out.put(self._file.size, GROUP_BYTES)

    def complete(self) -> None:
        """Write what is left and the footer."""
        if self._parquet is None and self._group_bytes <= _SMALL_BYTES:
            content = pa.BufferOutputStream()
            self._end(self._begin(content))
            self._file.write(content.getvalue().to_pybytes())
        else:
            self._end(self._parquet or self._begin(self._file))
        self._file.close()

    def give_up(self) -> None:
        """Close the file as it is."""
        self._written_out.abandon()
        # Else the writer would complete the file when it is collected.
        with contextlib.suppress(Exception):
            if self._parquet is not None:
                self._parquet.close()
        self._file.close()

    @property
    def size(self) -> int:
        return self._file.size

    def multihash(self) -> Multihash:
        """The hash of all bytes so far."""
        return self._file.multihash()

    def _begin(self, sink: Any) -> pq.ParquetWriter:
        """How columns are encoded is decided when the first rows are there."""
        many = self._group_rows >= WORTH_A_SAMPLE_ROWS
        options = self._format.options_for(self._group[0]) if many else self._format.options
        self._parquet = pq.ParquetWriter(sink, self._format.written, **options)
        return self._parquet

    def _end(self, parquet: pq.ParquetWriter) -> None:
        self._write_group()
        self._written_out.finish()
        parquet.add_key_value_metadata(self._format.hint)
        parquet.close()

    def _write_group(self) -> None:
        if self._group:
            parquet = self._parquet or self._begin(self._file)
            parquet.write_table(pa.Table.from_batches(self._group), row_group_size=_GROUP_ROWS)
            self._group.clear()
            self._group_rows = self._group_bytes = 0


class _HashingFile:
    """What the Parquet writer needs of a file, with a hash of everything that passes, made beside the writing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha3_256()
        self._hashing: Lane[bytes] = Lane("slice-digest", self._hash.update, limit_bytes=_UNHASHED_BYTES)
        self.size = 0

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._hashing.put(data, len(data))
        self.size += len(data)
        return len(data)

    def write_out(self, _size: int) -> None:
        """Let the disk have what is written so far. Whoever syncs the file later is not told of what fails here."""
        os.fdatasync(self._file.fileno())

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._hashing.finish()
        self._file.close()

    def multihash(self) -> Multihash:
        return Multihash(Multicodec.SHA3_256, self._hash.digest())
