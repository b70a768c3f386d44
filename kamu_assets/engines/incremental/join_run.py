"""A run of a join with a temporal table."""

from collections.abc import Mapping
from typing import Final

import datafusion
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kamu_assets.engines.incremental.blocks import NEVER
from kamu_assets.engines.incremental.checkpoint import State
from kamu_assets.engines.incremental.join import OPERATION, SINCE, TIME, JoinQuery, known_versions, needed_versions
from kamu_assets.engines.incremental.lookup import Lookup, in_row_order
from kamu_assets.engines.incremental.shapes import Relation, Step
from kamu_assets.engines.incremental.slices import Millis, Offsets
from kamu_assets.engines.incremental.times import TimeColumn, TimeKind
from kamu_assets.engines.incremental.types import plain_table
from kamu_assets.engines.incremental.work import Outcome, Work
from kamu_assets.engines.session import quoted
from kamu_assets.odf.data import OperationType

_STREAM, _VERSIONS = "stream", "versions"
_OFFSET: Final = "kamu offset"
_NUMBER: Final = pa.int64()


def run_join(work: Work, step: Step, query: JoinQuery, state: State) -> Outcome:
    """Put out the rows of the stream that are decided; keep the others, and the versions that they may meet.

    A row is late when its time is before the watermark of its own input before its block. It is decided when its time
    is before the watermarks of both inputs.
    """
    stream, late_rows = _stream(work, step, query, state)
    versions, late_versions = _version_table(work, query, state)
    moment = min(work.watermarks(state))
    is_decided = stream[TIME].to_numpy() < moment
    context = work.context()
    rows = in_row_order(Lookup(context, query, stream.filter(pa.array(is_decided)), versions).frame())
    tables = {
        _STREAM: stream.filter(pa.array(~is_decided)).combine_chunks(),
        _VERSIONS: versions if moment == NEVER else needed_versions(query, versions, moment),
    }
    if query.versions.table == work.shape.source:
        late_versions = 0
    return Outcome(context, work.output(context, context.from_arrow(rows)), tables, late_rows + late_versions)


def _stream(work: Work, step: Step, query: JoinQuery, state: State) -> tuple[pa.Table, int]:
    """Rows that are not decided yet, in offset order, and how many new ones are late."""
    new = work.news(work.shape.source, state)
    late = new.late(lambda before: before)
    relation = work.relation(step.source)
    schema = _state_schema(query, step.source, relation)
    time = next(name for name, column in relation.times.items() if column == TimeColumn(TimeKind.ROW))
    parts, late_rows = [state.table(_STREAM, schema)], 0
    for chunk in new.chunks():
        context = work.context()
        in_time, too_late = new.parted(context, chunk, late)
        work.register(context, in_time)
        parts.append(_selected(context, step.source, schema, {TIME: _millis(time)}))
        if late.size:
            work.register(context := work.context(), too_late)
            late_rows += context.table(quoted(step.source)).count()
    return pa.concat_tables(parts).combine_chunks(), late_rows


def _version_table(work: Work, query: JoinQuery, state: State) -> tuple[pa.Table, int]:
    """Versions that may be needed, in offset order, and how many new ones are late: without time or out of date.

    Records that say what a correction starts from carry the event time of the old version, which was valid until the
    new one begins: they are no versions (nor are they to streaming engines).
    """
    alias = query.versions.table
    new, vocab = work.news(alias, state), work.entries[alias].vocab
    operation = f"arrow_cast({quoted(vocab.operation_type_column)}, 'Int64')"
    added = {
        TIME: _millis(vocab.event_time_column),
        OPERATION: operation,
        _OFFSET: f"arrow_cast({quoted(vocab.offset_column)}, 'Int64')",
    }
    says = datafusion.col(quoted(vocab.operation_type_column)) != datafusion.lit(int(OperationType.CORRECT_FROM))
    schema = _state_schema(query, alias, work.relations[alias]).append(pa.field(OPERATION, _NUMBER))
    parts, delayed = [_known(state, schema)], new.delayed()
    for chunk in new.chunks():
        context = work.context()
        context.register_view(quoted(alias), new.frame(context, chunk).filter(says))
        found = _selected(context, alias, schema.append(pa.field(_OFFSET, _NUMBER)), added)
        parts.append(_with_since(found, *delayed))
    versions = pa.concat_tables(parts).combine_chunks()
    timed = versions.filter(versions[TIME].is_valid())
    kept = timed
    if pc.any(pc.greater(timed[SINCE], timed[TIME])).as_py():
        kept = timed.filter(pa.array(~known_versions(query, timed).came_too_late())).combine_chunks()
    return kept, versions.num_rows - kept.num_rows


def _known(state: State, schema: pa.Schema) -> pa.Table:
    """The versions of the last run. Those of state without `SINCE` all came in time."""
    found = state.tables.get(_VERSIONS)
    if found is None or SINCE in found.schema.names:
        return state.table(_VERSIONS, schema.append(pa.field(SINCE, _NUMBER)))
    found = state.table(_VERSIONS, schema)
    return found.append_column(SINCE, found[TIME])


def _with_since(rows: pa.Table, delayed: Offsets, marks: Millis) -> pa.Table:
    """New versions, and since when they count: their time, or the watermark that they came after."""
    offsets = rows[_OFFSET].to_numpy()
    place = np.searchsorted(delayed, offsets)
    found = np.append(delayed, -1)[place] == offsets
    late = pa.array(np.append(marks, 0)[place])
    return rows.drop_columns([_OFFSET]).append_column(SINCE, pc.if_else(pa.array(found), late, rows[TIME]))


def _state_schema(query: JoinQuery, table: str, relation: Relation) -> pa.Schema:
    """The columns of a table that the query uses, and the time of each row."""
    used = query.used.get(table, frozenset())
    fields = [field.with_nullable(True) for field in relation.schema if field.name in used]
    return pa.schema([*fields, pa.field(TIME, _NUMBER)])


def _millis(time: str) -> str:
    return f"""arrow_cast(arrow_cast({quoted(time)}, 'Timestamp(Millisecond, Some("UTC"))'), 'Int64')"""


def _selected(context: datafusion.SessionContext, table: str, schema: pa.Schema, added: Mapping[str, str]) -> pa.Table:
    parts = [f"{added.get(name, quoted(name))} AS {quoted(name)}" for name in schema.names]
    frame = context.sql(f"SELECT {', '.join(parts)} FROM {quoted(table)}")
    return plain_table(frame.collect(), frame.schema()).cast(schema)
