"""Guesses how a sample is to be read, by reading all of it. Runs in worker processes."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from datafusion import DataFrame, col

from kamu_assets.coordinator.ingest.errors import BadInputError
from kamu_assets.coordinator.ingest.explain.guilty_record import general_error
from kamu_assets.coordinator.ingest.guesses import GuessedColumn, GuessedSource, GuessRequest
from kamu_assets.coordinator.ingest.push.gzipped import without_gzip
from kamu_assets.coordinator.ingest.read.csv_header import names_each_once, unique_names, with_header
from kamu_assets.coordinator.ingest.read.csv_records import header_of
from kamu_assets.coordinator.ingest.read.input_file import InputFile
from kamu_assets.coordinator.ingest.read.options import csv_dialect
from kamu_assets.coordinator.ingest.read.steps import read_input
from kamu_assets.coordinator.ingest.session import EngineFailureError, engine_failures, open_bench, quoted, stream
from kamu_assets.errors import InvalidError
from kamu_assets.odf.source import ReadStep, ReadStepCsv, ReadStepParquet
from kamu_assets.storage.files import told_plainly

_MILLI: Final = {"us": 1_000, "ns": 1_000_000}
_MAX_KEYS_TRIED: Final = 5
_ALL: Final = 1 << 31
_PLAIN: Final = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "INT",
    pa.int16(): "INT",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.uint8(): "INT UNSIGNED",
    pa.uint16(): "INT UNSIGNED",
    pa.uint32(): "INT UNSIGNED",
    pa.uint64(): "BIGINT UNSIGNED",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
    # Nothing was ever in it.
    pa.null(): "STRING",
}


def guess_source(request: GuessRequest) -> GuessedSource:
    """Types that hold all of the sample; a read step that was proven on it."""
    # What is guessed holds for all records, not for the first ones.
    request = replace(request, limits=replace(request.limits, inference_records=_ALL))
    with told_plainly(request.scratch):
        told = _told_apart(request)
        frame = _opened(told, request.read)
        if frame is None:
            raise BadInputError(f"{request.path.name}: nothing to guess from, the sample is empty")
        try:
            facts = _Facts(frame)
        except EngineFailureError as error:
            raise general_error(request.path.name, str(error)) from error
        is_text = not isinstance(request.read, ReadStepParquet)
        columns = tuple(GuessedColumn(field.name, facts.ddl(field, is_text=is_text)) for field in frame.schema())
        read, columns = _proven(request, columns)
        return GuessedSource(
            read=read,
            columns=columns,
            records=facts.records,
            key=_key(frame, facts, columns),
            event_time=_event_time(frame, facts, columns),
            renamed=told is not request,
        )


def _told_apart(request: GuessRequest) -> GuessRequest:
    """A sample whose columns have a name each; the one there is, unless it is CSV with another header."""
    if not isinstance(request.read, ReadStepCsv):
        return request
    file = without_gzip(InputFile(request.path, request.path.name), request.scratch)
    dialect = csv_dialect(request.read)
    header, _ = header_of(file.path, dialect, name=file.name, limits=request.limits)
    if header is None or (all(header.fields) and names_each_once(header.fields)):
        return request
    # Who asks for it reads the name of the sample.
    folder = Path(mkdtemp(dir=request.scratch))
    copy = folder / request.path.name.removesuffix(".gz")
    named = with_header(file, dialect, unique_names(header.fields), copy=copy, limits=request.limits)
    return replace(request, path=named.path)


class _Facts:
    """What is true of all rows."""

    def __init__(self, frame: DataFrame) -> None:
        self.records = 0
        self.nulls = dict.fromkeys(frame.schema().names, 0)
        self._too_fine: set[str] = set()
        for batch in stream(frame):
            self.records += batch.num_rows
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                self.nulls[name] += column.null_count
                if _is_finer_than_millis(column):
                    self._too_fine.add(name)

    def ddl(self, field: pa.Field, *, is_text: bool) -> str | None:
        """The type as a word of `ddlSchema`; text where values would be lost otherwise."""
        kind = _ddl_type(field.type)
        # Without a zone in the text, as in the type that is guessed for it, it is UTC.
        if pt.is_timestamp(field.type) and not is_text and (field.type.unit, field.type.tz) != ("ms", "UTC"):
            return None
        # Columns of these types must have values (ODF: ReadStep).
        needs_values = pt.is_date(field.type) or pt.is_decimal(field.type)
        if field.name in self._too_fine or (needs_values and self.nulls[field.name]):
            return "STRING" if is_text else None
        return kind


def _proven(request: GuessRequest, columns: tuple[GuessedColumn, ...]) -> tuple[ReadStep, tuple[GuessedColumn, ...]]:
    """The read step with these columns if it takes the sample, else with text, else as the reader finds them."""
    is_csv = isinstance(request.read, ReadStepCsv)
    texts = tuple(GuessedColumn(column.name, "STRING") for column in columns)
    for tried in (columns, texts) if is_csv else (columns,):
        if all(column.type for column in tried):
            read = _declared(request.read, tried)
            if _takes(request, read):
                return read, tried
    return request.read, columns


def _declared(read: ReadStep, columns: Iterable[GuessedColumn]) -> ReadStep:
    update: dict[str, object] = {"ddl_schema": tuple(f"{_ddl_name(column.name)} {column.type}" for column in columns)}
    if isinstance(read, ReadStepCsv):
        update["infer_schema"] = None
    return read.model_copy(update=update)


def _takes(request: GuessRequest, read: ReadStep) -> bool:
    try:
        frame = _opened(request, read)
        return frame is not None and sum(batch.num_rows for batch in stream(frame)) >= 0
    except (EngineFailureError, InvalidError):
        return False


def _opened(request: GuessRequest, read: ReadStep) -> DataFrame | None:
    # Readers leave files there that others would meet.
    bench = open_bench(request.limits, Path(mkdtemp(dir=request.scratch)))
    try:
        source = read_input(bench, read, InputFile(request.path, request.path.name))
    except EngineFailureError as error:
        raise general_error(request.path.name, str(error)) from error
    return None if source is None else source.frame


def _event_time(frame: DataFrame, facts: _Facts, columns: Iterable[GuessedColumn]) -> str | None:
    """The first time that every record has, else the first date."""
    able = [
        field
        for field, column in zip(frame.schema(), columns, strict=True)
        if column.type in (None, "TIMESTAMP", "DATE") and not facts.nulls[column.name]
    ]
    times = [field.name for field in able if pt.is_timestamp(field.type)]
    dates = [field.name for field in able if pt.is_date(field.type)]
    return next(iter([*times, *dates]), None)


def _key(frame: DataFrame, facts: _Facts, columns: Iterable[GuessedColumn]) -> str | None:
    """The first column that is another one in each record, of those that usually are keys."""
    kinds = {"STRING", "INT", "BIGINT", "INT UNSIGNED", "BIGINT UNSIGNED"}
    able = [column.name for column in columns if column.type in kinds and not facts.nulls[column.name]]
    for name in able[:_MAX_KEYS_TRIED]:
        try:
            with engine_failures():
                if frame.select(col(quoted(name))).distinct().count() == facts.records:
                    return name
        except EngineFailureError:
            # More than memory holds.
            return None
    return None


def _is_finer_than_millis(column: pa.Array) -> bool:
    if not pt.is_timestamp(column.type) or column.type.unit not in _MILLI:
        return False
    numbers, factor = column.cast(pa.int64()), _MILLI[column.type.unit]
    whole = pc.multiply(pc.divide(numbers, factor), factor)
    return bool(pc.any(pc.not_equal(numbers, whole)).as_py())


def _ddl_type(kind: pa.DataType) -> str | None:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind):
        return "STRING"
    if pt.is_timestamp(kind):
        return "TIMESTAMP"
    if pt.is_decimal(kind) and 0 <= kind.scale <= kind.precision:
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if pt.is_list(kind):
        item = _ddl_type(kind.value_type)
        return None if item is None else f"ARRAY<{item}>"
    return None


def _ddl_name(name: str) -> str:
    escaped = name.replace('"', '""')
    return name if name.isidentifier() else f'"{escaped}"'
