"""What a run has at hand: the shape of its query, its inputs, and the state it goes on from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import datafusion
import pyarrow as pa

from kamu_assets.engines.engine import TransformRequest, TransformRequestInput
from kamu_assets.engines.incremental.blocks import newest
from kamu_assets.engines.incremental.checkpoint import State
from kamu_assets.engines.incremental.errors import UnsupportedConstructError
from kamu_assets.engines.incremental.shapes import Relation, Shape, read_shape
from kamu_assets.engines.incremental.slices import NewRows
from kamu_assets.engines.incremental.times import TimeColumn, TimeKind
from kamu_assets.engines.incremental.types import plain_schema
from kamu_assets.engines.session import quoted, session
from kamu_assets.engines.slices.listing import schema_from_ipc
from kamu_assets.engines.sql.guard import plan_query
from kamu_assets.odf.engine import TransformSql

_CATALOG: Final = "odf"

# Of each input: its name, its schema as a message, and which column is event time.
_Columns = tuple[tuple[str, bytes, str], ...]


@dataclass(frozen=True)
class Outcome:
    """Rows of the output, not in their order yet, and what is left for the next run."""

    context: datafusion.SessionContext
    rows: datafusion.DataFrame | pa.Table
    tables: Mapping[str, pa.Table]
    late_rows: int


@dataclass(frozen=True)
class Work:
    """One run."""

    shape: Shape
    entries: Mapping[str, TransformRequestInput]
    relations: Mapping[str, Relation]
    memory_bytes: int

    @classmethod
    def of(cls, request: TransformRequest, *, memory_bytes: int) -> "Work":
        """Plan a request; raise unless its query can be computed exactly."""
        entries = {entry.query_alias: entry for entry in request.query_inputs}
        columns = tuple((alias, entry.schema, entry.vocab.event_time_column) for alias, entry in entries.items())
        shape = _shape(request.transform, columns, request.vocab.event_time_column, memory_bytes)
        relations = _relations(columns)
        unread = sorted(set(entries) - shape.inputs)
        if unread:
            raise UnsupportedConstructError(f"an input that does not lead to the output (`{unread[0]}`)")
        return cls(shape, entries, relations, memory_bytes)

    def context(self) -> datafusion.SessionContext:
        """A session of its own."""
        return _context(self.memory_bytes)

    def news(self, alias: str, state: State) -> NewRows:
        """New rows of an input."""
        carried = dict(zip(self.entries, state.watermarks, strict=True))
        return NewRows(self.entries[alias], watermark=carried[alias])

    def watermarks(self, state: State) -> list[int]:
        """How far each input is complete after its new blocks, in milliseconds."""
        marks = zip(self.entries.values(), state.watermarks, strict=True)
        return [newest(entry.explicit_watermarks, carried) for entry, carried in marks]

    def relation(self, name: str) -> Relation:
        """An input, or a step before the one with state."""
        step = next((step for step in self.shape.before if step.alias == name), None)
        return step.output if step else self.relations[name]

    def register(self, context: datafusion.SessionContext, rows: datafusion.DataFrame) -> None:
        """Make these rows of the input, and the steps before the one with state, known by their names."""
        context.register_view(quoted(self.shape.source), rows)
        for step in self.shape.before:
            if step.alias is not None:
                context.register_view(quoted(step.alias), plan_query(context, step.query.sql))

    def output(self, context: datafusion.SessionContext, rows: datafusion.DataFrame) -> datafusion.DataFrame:
        """What the steps after the one with state (without such: after the input) make of these rows."""
        stateful = self.shape.stateful
        name = self.shape.source if stateful is None else stateful.alias
        if name is not None:
            context.register_view(quoted(name), rows)
        for step in self.shape.after:
            rows = plan_query(context, step.query.sql)
            if step.alias is not None:
                context.register_view(quoted(step.alias), rows)
        return rows


def _context(memory_bytes: int) -> datafusion.SessionContext:
    """Computes in one partition, in the order of rows. Spilling would split sums, so it fails instead."""
    return session(_CATALOG, memory_bytes=memory_bytes, partitions=1, spill=False)


# A derivative is brought up to date again and again. Shapes hold no session.
@lru_cache(maxsize=64)
def _shape(transform: TransformSql, inputs: _Columns, event_time: str, memory_bytes: int) -> Shape:
    return read_shape(_context(memory_bytes), transform, _relations(inputs), event_time=event_time)


@lru_cache(maxsize=64)
def _relations(inputs: _Columns) -> Mapping[str, Relation]:
    return {alias: _relation(plain_schema(schema_from_ipc(schema)), time) for alias, schema, time in inputs}


def _relation(schema: pa.Schema, time: str) -> Relation:
    return Relation(schema, {time: TimeColumn(TimeKind.ROW)} if time in schema.names else {})
