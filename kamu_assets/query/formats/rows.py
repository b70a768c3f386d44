"""Rows as JSON text in three shapes, batch by batch, up to a limit."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pyarrow as pa

from kamu_assets.errors import InvalidError
from kamu_assets.query.formats.number_texts import holds_floats, with_plain_numbers
from kamu_assets.query.formats.values import json_values
from kamu_assets.query.model import DataFormat
from kamu_assets.query.requests import AnswerShape

_SLICE_ROWS: Final = 1024


class AnswerTooLargeError(InvalidError):
    """The rows of an answer take more bytes than one answer may have."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the answer is larger than {limit_bytes >> 20} MiB; ask for fewer rows or columns")
        self.limit_bytes = limit_bytes


@dataclass(frozen=True)
class EncodedRows:
    data: bytes
    num_records: int


def encode_rows(schema: pa.Schema, batches: Iterable[pa.RecordBatch], shape: AnswerShape) -> EncodedRows:
    """Keys in alphabetical order, as REST gives them, or in the order of the columns."""
    columns, data_format = _Columns(schema, shape), shape.data_format
    parts: list[list[str]] = [[] for _ in schema] if data_format is DataFormat.JSON_SOA else [[]]
    size = rows = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _SLICE_ROWS):
            piece = batch.slice(start, _SLICE_ROWS)
            texts = columns.texts(piece, data_format)
            size += sum(len(text) for text in texts)
            if size > shape.limit_bytes:
                raise AnswerTooLargeError(shape.limit_bytes)
            for part, text in zip(parts, texts, strict=True):
                part.append(text)
            rows += piece.num_rows
    joined = [f"[{','.join(part)}]" for part in parts]
    return EncodedRows(columns.document(joined, data_format).encode(), rows)


class _Columns:
    def __init__(self, schema: pa.Schema, shape: AnswerShape) -> None:
        self._names = schema.names
        self._sort_keys = shape.sort_keys
        self._keeps_nan = shape.keeps_nan
        self._has_floats = any(holds_floats(field.type) for field in schema)

    def texts(self, batch: pa.RecordBatch, data_format: DataFormat) -> list[str]:
        """Items without brackets: of the rows, or of each column."""
        values = [json_values(column) for column in batch.columns]
        if data_format is DataFormat.JSON_SOA:
            return [self._items(column) for column in values]
        rows = zip(*values, strict=True) if values else ([] for _ in range(batch.num_rows))
        if data_format is DataFormat.JSON_AOA:
            return [self._items([list(row) for row in rows])]
        return [self._items([dict(zip(self._names, row, strict=True)) for row in rows])]

    def document(self, joined: list[str], data_format: DataFormat) -> str:
        if data_format is not DataFormat.JSON_SOA:
            return joined[0]
        columns = list(zip(self._names, joined, strict=True))
        ordered = sorted(columns) if self._sort_keys else columns
        return "{" + ",".join(f"{self._json(name)}:{items}" for name, items in ordered) + "}"

    def _items(self, values: list[Any]) -> str:
        return self._json(values)[1:-1]

    def _json(self, value: object) -> str:
        text = partial(json.dumps, ensure_ascii=False, separators=(",", ":"), sort_keys=self._sort_keys)
        try:
            written = text(value, allow_nan=self._keeps_nan)
        except ValueError:
            written = text(_without_nan(value))
        return with_plain_numbers(written) if self._has_floats else written


def _without_nan(value: Any) -> Any:
    """JSON has no such numbers: they are null."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [_without_nan(item) for item in value]
        case dict():
            return {key: _without_nan(item) for key, item in value.items()}
        case _:
            return value
