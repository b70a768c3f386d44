"""How the columns of a slice are encoded: a matter of size and speed only."""

from collections.abc import Set as AbstractSet
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from kamu_assets.engines.slices.facts import Encodings
from kamu_assets.engines.slices.storable import file_schema, has_floats
from kamu_assets.odf.data import DatasetVocabulary

# Columns of many different values outgrow their dictionary anyway: the sooner, the less is spent on it in vain.
_DICTIONARY_BYTES: Final = 512 << 10
# Those whose first rows hold hardly any value twice get none: a dictionary would outgrow its limit.
_SAMPLE_ROWS: Final = 4096
_SAMPLE_DISTINCT: Final = 0.97
WORTH_A_SAMPLE_ROWS: Final = 8 * _SAMPLE_ROWS


def parquet_options(
    schema: pa.Schema, vocab: DatasetVocabulary, encodings: Encodings, *, diverse: AbstractSet[str]
) -> dict[str, Any]:
    """How Arrow is to write a slice; columns in `diverse` are better off without a dictionary."""
    written = file_schema(schema)
    common: dict[str, Any] = {
        "version": "2.6",
        "data_page_version": "1.0",
        "compression": "snappy",
        "dictionary_pagesize_limit": _DICTIONARY_BYTES,
        "store_schema": False,
        # A few hundred bytes, by which readers find single rows without unpacking a million. Upstream writes it, too.
        "write_page_index": True,
        "sorting_columns": [pq.SortingColumn(schema.get_field_index(vocab.offset_column))],
    }
    if has_floats(written):
        # They would leave NaN out, and readers that go by them would not find it.
        common["write_statistics"] = [field.name for field in written if _has_sound_statistics(field.type)]
    if encodings is Encodings.KAMU:
        return common | {"use_dictionary": _with_dictionary(written, diverse)}
    repeated = [vocab.operation_type_column, vocab.system_time_column]
    deltas = [field.name for field in written if _fits_delta(field.type) and field.name not in repeated]
    texts = [field.name for field in schema if _is_text(field.type) and field.name not in diverse]
    return common | {
        "use_dictionary": repeated + texts,
        "column_encoding": dict.fromkeys(deltas, "DELTA_BINARY_PACKED"),
    }


def diverse_columns(rows: pa.RecordBatch) -> frozenset[str]:
    """Columns with hardly any value twice, as far as the first rows tell."""
    sample = rows.slice(0, _SAMPLE_ROWS)
    if sample.num_rows < _SAMPLE_ROWS:
        return frozenset()
    countable = [field.name for field in rows.schema if _is_countable(field.type)]
    found = {name: pc.count_distinct(sample.column(name)).as_py() for name in countable}
    return frozenset(name for name, count in found.items() if count > _SAMPLE_DISTINCT * _SAMPLE_ROWS)


def _with_dictionary(written: pa.Schema, diverse: AbstractSet[str]) -> list[str] | bool:
    """Which columns have one: some by name, or all. Columns inside of others have names that only Parquet knows."""
    if any(pt.is_nested(field.type) for field in written):
        return True
    return [name for name in written.names if name not in diverse]


def _is_countable(data_type: pa.DataType) -> bool:
    text = pt.is_string(data_type) or pt.is_large_string(data_type)
    number = pt.is_integer(data_type) or pt.is_float32(data_type) or pt.is_float64(data_type)
    return bool(text or number or pt.is_temporal(data_type))


def _has_sound_statistics(data_type: pa.DataType) -> bool:
    return not (pt.is_floating(data_type) or pt.is_nested(data_type))


def _fits_delta(data_type: pa.DataType) -> bool:
    return bool(pt.is_int32(data_type) or pt.is_int64(data_type) or pt.is_timestamp(data_type) or pt.is_date(data_type))


def _is_text(data_type: pa.DataType) -> bool:
    return bool(pt.is_string(data_type) or pt.is_large_string(data_type) or pt.is_string_view(data_type))
