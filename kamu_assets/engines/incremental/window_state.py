"""Windows as state: rows are folded into their window and key, and the watermark closes windows."""

from typing import Final

import datafusion
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from datafusion import functions

from kamu_assets.engines.incremental.errors import EdgeOfTimeError
from kamu_assets.engines.incremental.order import sort_rows
from kamu_assets.engines.incremental.types import empty_batch, plain, with_types
from kamu_assets.engines.incremental.window import MILLIS, WINDOW, WindowQuery
from kamu_assets.engines.session import quoted

_FOLD: Final = "kamu fold"
_CLOSED: Final = "kamu closed"
_LAST: Final = (1 << 63) - 1


def additions(query: WindowQuery, rows: datafusion.DataFrame) -> pa.Table:
    """What these rows add to the state: one row each, or folded among themselves where that is the same."""
    found = _regrouped(query, rows) if all(partial.can_regroup for _, _, partial in query.partials) else None
    if found is None:
        schema = query.state_schema
        frame = _columns(query, rows)
        # In the plan, so that rows are copied once.
        frame = frame.select(*(datafusion.col(quoted(field.name)).cast(field.type) for field in schema))
        batches = [pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in frame.collect()]
        found = pa.Table.from_batches(batches, schema=schema)
    _check_not_wrapped(found[WINDOW], query.tumble.millis)
    return found


def _columns(query: WindowQuery, rows: datafusion.DataFrame) -> datafusion.DataFrame:
    names = query.state_schema.names[1:]
    start = datafusion.col(quoted(query.tumble.start)).cast(pa.int64()).alias(WINDOW)
    keys = [query.groups[index].alias(name) for index, name in zip(query.keys, names, strict=False)]
    return rows.select(start, *keys, *(partial.argument.alias(name) for name, _, partial in query.partials))


def _regrouped(query: WindowQuery, rows: datafusion.DataFrame) -> pa.Table | None:
    """The rows folded among themselves; None if there is a NaN or an infinity: of those, what comes before matters."""
    schema = query.state_schema
    groups = [datafusion.col(quoted(name)) for name in schema.names[: 1 + len(query.keys)]]
    columns = {name: datafusion.col(quoted(name)) for name in schema.names[len(groups) :]}
    folds = [partial.regrouped(columns[name]).alias(name) for name, _, partial in query.partials]
    # A sum tells both (and overflow, which costs time only); adding up is cheaper than looking.
    sums = [
        functions.sum(columns[name]).alias(f"sum {name}")
        for name, _, partial in query.partials
        if pt.is_floating(partial.type)
    ]
    frame = _columns(query, rows).aggregate(groups, [*folds, *sums])
    found = pa.Table.from_batches(frame.collect(), schema=frame.schema())
    if any(pc.any(pc.invert(pc.is_finite(total))).as_py() for total in found.columns[len(schema) :]):
        return None
    return with_types(found.select(schema.names), schema)


def _check_not_wrapped(starts: pa.ChunkedArray, size: int) -> None:
    """A start before the first of all times comes out among the last ones, whose ends cannot be told either."""
    newest = pc.max(starts).as_py()
    if newest is not None and newest > _LAST - size:
        raise EdgeOfTimeError(window_millis=size)


def fold(query: WindowQuery, context: datafusion.SessionContext, state: pa.Table, added: pa.Table) -> pa.Table:
    """The state after these rows."""
    schema = query.state_schema
    batches = [*_restarts(query, state), *state.to_batches(), *added.to_batches()]
    rows = context.read_batches(batches or [empty_batch(schema)])
    frame = _folded(query, context, rows)
    return with_types(pa.Table.from_batches(frame.collect(), schema=frame.schema()), schema)


def _restarts(query: WindowQuery, state: pa.Table) -> list[pa.RecordBatch]:
    """Rows that let the smallest and the largest value go on from an infinity in the state.

    DataFusion starts from the last finite number and would stay there; what follows a NaN is always taken.
    """
    if any(partial.fold.startswith(("first_value", "last_value")) for _, _, partial in query.partials):
        return []
    extremes = [
        name
        for name, _, partial in query.partials
        if pt.is_floating(partial.type) and partial.fold.startswith(("min", "max"))
    ]
    found = [state.filter(pc.is_inf(state[name])) for name in extremes]
    return [batch for name, rows in zip(extremes, found, strict=True) for batch in _only_nan(query, rows, name)]


def _only_nan(query: WindowQuery, rows: pa.Table, name: str) -> list[pa.RecordBatch]:
    """The windows and keys of these rows, with NaN in one column and nothing in the others."""
    schema = query.state_schema
    kept = schema.names[: 1 + len(query.keys)]
    columns = [rows[field.name] if field.name in kept else pa.nulls(rows.num_rows, field.type) for field in schema]
    columns[schema.get_field_index(name)] = pa.array([float("nan")] * rows.num_rows, schema.field(name).type)
    return list(pa.Table.from_arrays(columns, schema=schema).to_batches())


def _folded(query: WindowQuery, context: datafusion.SessionContext, rows: datafusion.DataFrame) -> datafusion.DataFrame:
    names = [quoted(name) for name in query.state_schema.names[: 1 + len(query.keys)]]
    if all(partial.can_regroup for _, _, partial in query.partials):
        folds = [partial.folded(datafusion.col(quoted(name))).alias(name) for name, _, partial in query.partials]
        return rows.aggregate([datafusion.col(name) for name in names], folds)
    context.register_view(quoted(_FOLD), rows)
    groups = ", ".join(names)
    parts = [f"{partial.fold.format(quoted(name))} AS {quoted(name)}" for name, _, partial in query.partials]
    return context.sql(f"SELECT {', '.join([groups, *parts])} FROM {quoted(_FOLD)} GROUP BY {groups}")


def parted(query: WindowQuery, state: pa.Table, watermark: int) -> tuple[pa.Table, pa.Table]:
    """Windows that end at or before the watermark, and those still open; both in a fixed order."""
    state = sort_rows(state)
    is_closed = pa.array(state[WINDOW].to_numpy() + query.tumble.millis <= watermark)
    return state.filter(is_closed), state.filter(pc.invert(is_closed)).combine_chunks()


def results(query: WindowQuery, context: datafusion.SessionContext, closed: pa.Table) -> datafusion.DataFrame:
    """The output for closed windows: HAVING, then the columns of SELECT."""
    table = _as_aggregation(query, closed)
    name = quoted(query.relation or _CLOSED)
    context.deregister_table(name)
    context.register_record_batches(name, [table.to_batches() or [empty_batch(table.schema)]])
    frame = context.table(name)
    context.deregister_table(name)
    if query.having is not None:
        frame = frame.filter(query.having)
    return frame.select(*query.projection)


def picked(query: WindowQuery, closed: pa.Table, schema: pa.Schema) -> pa.Table | None:
    """The same without planning anything, where SELECT only names columns; None where it does more."""
    if query.picked is None or len(set(schema.names)) < len(schema.names):
        return None
    table = _as_aggregation(query, closed)
    return pa.Table.from_arrays([table.column(index) for index in query.picked], names=schema.names).combine_chunks()


def _as_aggregation(query: WindowQuery, closed: pa.Table) -> pa.Table:
    """Rows as the aggregation of the plan would give them."""
    start = closed[WINDOW]
    bounds = {query.tumble.start: start, query.tumble.end: pc.add(start, query.tumble.millis)}
    keys = {index: closed[f"k{index}"] for index in query.keys}
    columns = [
        keys[index] if index in keys else bounds[name].cast(MILLIS) for index, name in enumerate(query.group_names)
    ]
    for index, aggregate in enumerate(query.aggregates):
        parts = [closed[name] for name, owner, _ in query.partials if owner == index]
        columns.append(aggregate.result(parts).cast(plain(aggregate.type)))
    fields = [pa.field(field.name, plain(field.type), field.nullable) for field in query.fields]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))
