"""The steps of a transform, and whether they have a shape that this engine computes exactly.

One step may keep state: a grouping by windows or a temporal join. Before and after it there may be steps that look at
one row at a time: columns and WHERE. They form a chain, from an input to the output.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import datafusion
import pyarrow as pa

from kamu_assets.engines.incremental.errors import UnsupportedConstructError
from kamu_assets.engines.incremental.join import JoinQuery
from kamu_assets.engines.incremental.nodes import check_no_subqueries, only_table
from kamu_assets.engines.incremental.rewrite import Rewritten, TemporalTable, Tumble, rewrite
from kamu_assets.engines.incremental.times import TimeColumn, TimeKind, Times, times_of_rows
from kamu_assets.engines.incremental.types import empty_batch, plain_schema
from kamu_assets.engines.incremental.window import MILLIS, WindowQuery
from kamu_assets.engines.session import quoted
from kamu_assets.engines.sql.errors import InvalidQueryError
from kamu_assets.engines.sql.guard import plan_query
from kamu_assets.odf.engine import SqlQueryStep, TransformSql


class StepKind(StrEnum):
    ROWS = "rows"
    WINDOW = "window"
    JOIN = "join"


@dataclass(frozen=True)
class Relation:
    """A table that a step can name."""

    schema: pa.Schema
    times: Times


@dataclass(frozen=True)
class Step:
    """One query of a transform: what it reads, and what it makes."""

    alias: str | None
    query: Rewritten
    kind: StepKind
    source: str
    output: Relation
    window: WindowQuery | None = None
    join: JoinQuery | None = None


@dataclass(frozen=True)
class Shape:
    """A chain of steps: rows of one input pass `before`, then the step with state if there is one, then `after`."""

    source: str
    before: tuple[Step, ...]
    stateful: Step | None
    after: tuple[Step, ...]
    output: Relation

    @property
    def inputs(self) -> set[str]:
        """Names of the inputs that are read."""
        join = self.stateful.join if self.stateful else None
        return {self.source, join.versions.table} if join else {self.source}


@dataclass
class _Reader:
    """Plans steps one by one over tables without rows."""

    context: datafusion.SessionContext
    inputs: Mapping[str, Relation]
    primary_keys: Mapping[str, tuple[str, ...]]
    steps: dict[str, Step] = field(default_factory=dict)

    @property
    def relations(self) -> dict[str, Relation]:
        return {**self.inputs, **{name: step.output for name, step in self.steps.items()}}

    def read(self, step: SqlQueryStep) -> Step:
        if step.alias in self.relations:
            raise InvalidQueryError(f"the table {step.alias} already exists")
        query = rewrite(step.query)
        with _tables(self.context, self.relations, query.tumble):
            frame = self._planned(query)
            if query.tumble is not None:
                found = self._window(step, query, frame, query.tumble)
            elif query.temporal is not None:
                found = self._join(step, query, frame, query.temporal)
            else:
                found = self._rows(step, query, frame)
        if step.alias is not None:
            self.steps[step.alias] = found
        return found

    def _planned(self, query: Rewritten) -> datafusion.DataFrame:
        try:
            return plan_query(self.context, query.sql)
        except InvalidQueryError as error:
            # The columns that stand for windows are those of a table, not of a query over it.
            if query.tumble is not None and f"No field named {quoted(query.tumble.start)}" in str(error):
                raise UnsupportedConstructError("TUMBLE over anything but a column of an input or a step") from error
            raise

    def _window(self, step: SqlQueryStep, query: Rewritten, frame: datafusion.DataFrame, tumble: Tumble) -> Step:
        tables = {name: one.times for name, one in self.relations.items()}
        window = WindowQuery.planned(self.context, frame.logical_plan(), tumble, tables=tables)
        if tables[window.source].get(tumble.time) != TimeColumn(TimeKind.ROW):
            raise UnsupportedConstructError(f"TUMBLE of `{tumble.time}`, which is not the event time of an input,")
        schema = plain_schema(frame.schema())
        output = Relation(schema, window.output_times(schema.names))
        return Step(step.alias, query, StepKind.WINDOW, window.source, output, window=window)

    def _join(self, step: SqlQueryStep, query: Rewritten, frame: datafusion.DataFrame, temporal: TemporalTable) -> Step:
        if temporal.table not in self.inputs:
            raise UnsupportedConstructError(f"the temporal table `{temporal.table}`, which is not an input,")
        primary_key = self.primary_keys.get(temporal.table)
        if temporal.is_function and primary_key is None:
            raise UnsupportedConstructError(f"the function `{temporal.table}`, which `temporalTables` does not define,")
        join = JoinQuery.planned(frame, temporal, primary_key=primary_key)
        times = self.relations[join.stream.table].times
        if times.get(temporal.time[-1]) != TimeColumn(TimeKind.ROW):
            raise UnsupportedConstructError(
                f"a table as of `{temporal.time[-1]}`, which is not the stream's event time,"
            )
        schema = plain_schema(frame.schema())
        output = Relation(schema, join.times(times, schema.names))
        return Step(step.alias, query, StepKind.JOIN, join.stream.table, output, join=join)

    def _rows(self, step: SqlQueryStep, query: Rewritten, frame: datafusion.DataFrame) -> Step:
        plan, schema = frame.logical_plan(), plain_schema(frame.schema())
        check_no_subqueries(plan)
        source = only_table(plan)
        times = times_of_rows(plan, {name: one.times for name, one in self.relations.items()}, schema.names)
        return Step(step.alias, query, StepKind.ROWS, source, Relation(schema, times))


def read_shape(
    context: datafusion.SessionContext, transform: TransformSql, inputs: Mapping[str, Relation], *, event_time: str
) -> Shape:
    """Plan all steps; raise an `InvalidQueryError` unless they have a known shape, and times that allow a watermark."""
    primary_keys = {table.name: tuple(table.primary_key) for table in transform.temporal_tables or ()}
    reader = _Reader(context, inputs, primary_keys)
    *_, output = (reader.read(step) for step in transform.queries or ())
    shape = _chain(output, reader)
    known = output.output.schema.names
    if event_time in known and event_time not in output.output.times:
        raise UnsupportedConstructError(
            f"an `{event_time}` that is neither the event time of the input nor start, end or a picked time of a window"
        )
    return shape


def _chain(output: Step, reader: _Reader) -> Shape:
    before: list[Step] = []
    after: list[Step] = []
    stateful: Step | None = None
    step: Step | None = output
    source = output.source
    while step is not None:
        if step.kind is StepKind.ROWS:
            (after if stateful is None else before).insert(0, step)
        elif stateful is None:
            stateful = step
        else:
            raise UnsupportedConstructError("more than one window or temporal join (use a dataset for each)")
        source = step.source
        step = reader.steps.get(source)
    return Shape(source, tuple(before), stateful, tuple(after), output.output)


@contextmanager
def _tables(
    context: datafusion.SessionContext, relations: Mapping[str, Relation], tumble: Tumble | None
) -> Iterator[None]:
    """Tables without rows, with the columns of windows where there are windows, for as long as a step is planned."""
    for name, relation in relations.items():
        schema = relation.schema
        if tumble is not None and tumble.time in schema.names:
            schema = schema.append(pa.field(tumble.start, MILLIS)).append(pa.field(tumble.end, MILLIS))
        context.register_record_batches(quoted(name), [[empty_batch(schema)]])
    try:
        yield
    finally:
        for name in relations:
            context.deregister_table(quoted(name))
