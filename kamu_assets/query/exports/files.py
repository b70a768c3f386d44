"""Writes rows to files as they come: few are held at a time, however many there are."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pyarrow.types as pt

from kamu_assets.engines.slices.storable import as_schema
from kamu_assets.query.exports.model import ExportedFile, ExportFormat
from kamu_assets.query.formats.values import json_values

_GROUP_ROWS: Final = 1 << 20
_GROUP_BYTES: Final = 64 << 20
_PIECE_ROWS: Final = 8_192


class _RowsFile(Protocol):
    """A file that takes rows until it is closed."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None: ...


class ExportFiles:
    """`part-00000` and, once that has its records, others after it; without rows one file tells the columns."""

    def __init__(
        self, schema: pa.Schema, folder: Path, *, file_format: ExportFormat, records_per_file: int | None = None
    ) -> None:
        self._schema = schema
        self._folder = folder
        self._format = file_format
        self._per_file = records_per_file
        self._written: list[ExportedFile] = []
        self._open: _RowsFile | None = None
        self._records = 0

    def write_all(
        self, batches: Iterable[pa.RecordBatch], *, on_rows: Callable[[int], None] | None = None
    ) -> tuple[ExportedFile, ...]:
        """All rows in their order; `on_rows` is told how many are done."""
        done = 0
        try:
            for piece in self._pieces(batches):
                self._write(piece)
                done += piece.num_rows
                if on_rows is not None:
                    on_rows(done)
            if self._open is None and not self._written:
                self._begin()
        finally:
            self._end()
        return tuple(self._written)

    def _pieces(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pieces that fit into the file they come to."""
        for batch in batches:
            start = 0
            while start < batch.num_rows:
                room = _PIECE_ROWS if self._per_file is None else min(_PIECE_ROWS, self._per_file - self._records)
                piece = batch.slice(start, room)
                start += piece.num_rows
                yield piece

    def _write(self, piece: pa.RecordBatch) -> None:
        file = self._open or self._begin()
        file.write(piece)
        self._records += piece.num_rows
        if self._records == self._per_file:
            self._end()

    @property
    def _path(self) -> Path:
        return self._folder / f"part-{len(self._written):05}.{self._format}"

    def _begin(self) -> _RowsFile:
        self._open = _WRITERS[self._format](self._path, self._schema)
        return self._open

    def _end(self) -> None:
        if self._open is None:
            return
        self._open.close()
        path = self._path
        self._written.append(ExportedFile(path.name, self._records, path.stat().st_size))
        self._open, self._records = None, 0


class _ParquetFile:
    """Rows are held until they fill a row group."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = pa.schema([field.with_type(_plain(field.type)) for field in schema])
        self._writer = pq.ParquetWriter(path, self._schema, compression="snappy")
        self._group: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self._group.append(as_schema(batch, self._schema))
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._write_group()

    def close(self) -> None:
        self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        if self._group:
            self._writer.write_table(pa.Table.from_batches(self._group), row_group_size=_GROUP_ROWS)
        self._group.clear()
        self._rows = self._bytes = 0


class _CsvFile:
    """RFC 4180 in UTF-8 with a header. Texts have quotes, so that an empty one is told from null."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = path.open("wb")
        self._schema = pa.schema([(field.name, _csv_type(field.type)) for field in schema])
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(schema.names)
        self._file.write(header.getvalue().encode())
        options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
        self._writer = pyarrow.csv.CSVWriter(self._file, self._schema, write_options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        columns = [_csv_column(column, field.type) for column, field in zip(batch.columns, self._schema, strict=True)]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        self._writer.close()
        self._file.close()


class _NdJsonFile:
    """An object per line, keys in the order of the columns."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._names = schema.names

    def write(self, batch: pa.RecordBatch) -> None:
        columns = [json_values(column) for column in batch.columns]
        for row in zip(*columns, strict=True):
            self._file.write(_json(dict(zip(self._names, row, strict=True))) + "\n")

    def close(self) -> None:
        self._file.close()


_WRITERS: Final[dict[ExportFormat, Callable[[Path, pa.Schema], _RowsFile]]] = {
    ExportFormat.PARQUET: _ParquetFile,
    ExportFormat.CSV: _CsvFile,
    ExportFormat.NDJSON: _NdJsonFile,
}


def _plain(kind: pa.DataType) -> pa.DataType:
    """Types that every reader of Parquet knows, for those that are another layout of the same."""
    if pt.is_dictionary(kind):
        return _plain(kind.value_type)
    if pt.is_string_view(kind) or pt.is_large_string(kind):
        return pa.string()
    if pt.is_binary_view(kind) or pt.is_large_binary(kind):
        return pa.binary()
    if pt.is_struct(kind):
        return pa.struct([field.with_type(_plain(field.type)) for field in kind])
    if pt.is_list(kind) or pt.is_large_list(kind):
        return pa.list_(kind.value_field.with_type(_plain(kind.value_type)))
    return kind


def _csv_type(kind: pa.DataType) -> pa.DataType:
    """Whole numbers and truth are written as they are, everything else as the text that other answers have."""
    return kind if pt.is_integer(kind) or pt.is_boolean(kind) else pa.string()


def _csv_column(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if pt.is_string_view(column.type) or pt.is_large_string(column.type):
        return column.cast(kind)
    return pa.array([_csv_text(value) for value in json_values(column)], kind)


def _csv_text(value: Any) -> str | None:
    match value:
        case None | str():
            return value
        case float():
            return repr(value).replace("nan", "NaN")
        case _:
            return json.dumps(value, ensure_ascii=False)


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    """JSON has no other numbers: they are null."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [_finite(item) for item in value]
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case _:
            return value
