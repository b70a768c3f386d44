"""Preprocessing: SQL over the rows that were read, or a few renames when there is none (ODF: Transform)."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.types as pt
from datafusion import DataFrame

from kamu_assets.coordinator.ingest.errors import BadSqlError
from kamu_assets.coordinator.ingest.session import Bench, engine_failures, quoted
from kamu_assets.engines.sql.guard import plan_query
from kamu_assets.errors import InvalidError
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.engine import TransformSql, normalize_transform

INPUT = "input"


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What happens to the rows of an input before they are merged."""

    transform: TransformSql | None
    vocab: DatasetVocabulary
    # Whether the read step says what the columns are: then nothing is done to them unasked.
    declared: bool
    name: str

    def apply(self, bench: Bench, frame: DataFrame) -> DataFrame:
        """The rows as they are merged."""
        if self.transform is not None:
            return run_queries(bench, frame, self.transform, name=self.name)
        return frame if self.declared else default_preprocess(bench, frame, self.vocab)


def run_queries(bench: Bench, frame: DataFrame, transform: TransformSql, *, name: str) -> DataFrame:
    """Chain the queries as views over `input`; the last one gives the rows."""
    bench.session.register_view(INPUT, frame)
    taken = {INPUT}
    result = frame
    for step in normalize_transform(transform).queries or ():
        result = _run_query(bench, step.query, name)
        if step.alias is None:
            break
        if step.alias in taken:
            raise BadSqlError(f"{name}: two preprocess queries are named `{step.alias}`")
        taken.add(step.alias)
        bench.session.register_view(step.alias, result)
    _check_names(result.schema(), name)
    return result


def default_preprocess(bench: Bench, frame: DataFrame, vocab: DatasetVocabulary) -> DataFrame:
    """Move columns out of the way of system columns, and make a time of what is called event time."""
    schema = frame.schema()
    system = (vocab.offset_column, vocab.operation_type_column, vocab.system_time_column)
    columns = []
    for field in schema:
        if field.name in system:
            columns.append(f"{quoted(field.name)} AS {quoted('_' + field.name)}")
        elif field.name == vocab.event_time_column:
            columns.append(_as_time(field))
        else:
            columns.append(quoted(field.name))
    if columns == [quoted(column) for column in schema.names]:
        return frame
    with engine_failures():
        bench.session.register_view("__raw", frame)
        return bench.session.sql(f"SELECT {', '.join(columns)} FROM __raw")


def _as_time(field: pa.Field) -> str:
    column = quoted(field.name)
    if pt.is_integer(field.type):
        return f"to_timestamp_seconds({column}) AS {column}"
    if pt.is_string(field.type) or pt.is_string_view(field.type) or pt.is_large_string(field.type):
        return f"to_timestamp({column}) AS {column}"
    return column


def _run_query(bench: Bench, query: str, name: str) -> DataFrame:
    try:
        return plan_query(bench.session, query)
    except InvalidError as error:
        raise BadSqlError(f"{name}: preprocess query: {error}") from error


def _check_names(schema: pa.Schema, name: str) -> None:
    twice = {column for column in schema.names if schema.names.count(column) > 1}
    if twice:
        raise BadSqlError(f"{name}: the preprocess query gives several columns named `{min(twice)}`")
