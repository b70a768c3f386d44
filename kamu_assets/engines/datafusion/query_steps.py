"""Plans the steps of a query, and reads what comes out in the order in which it is written."""

from collections.abc import Iterator
from typing import Final

import datafusion
import pyarrow as pa

from kamu_assets.engines.datafusion.nullability import as_upstream
from kamu_assets.engines.datafusion.union_order import in_branch_order
from kamu_assets.engines.session import empty_frame, quoted, session
from kamu_assets.engines.sql.guard import plan_query
from kamu_assets.odf.engine import TransformSql

_CATALOG: Final = "odf"


class DuplicateNameError(Exception):
    """Two tables of a transform have one name. Upstream calls that an internal error."""


def engine_session(memory_bytes: int) -> datafusion.SessionContext:
    """A session of one partition: rows keep the order of the files."""
    return session(_CATALOG, memory_bytes=memory_bytes, partitions=1)


def plan_steps(context: datafusion.SessionContext, transform: TransformSql, names: set[str]) -> datafusion.DataFrame:
    """The last query; those before it become views, called otherwise than `names`."""
    *views, output = transform.queries or ()
    for view in views:
        if view.alias is None or view.alias in names:
            raise DuplicateNameError(f"The table {view.alias} already exists")
        names.add(view.alias)
        context.register_view(quoted(view.alias), plan_query(context, view.query))
    return _unsorted(context, plan_query(context, output.query))


def output_schema(context: datafusion.SessionContext, output: datafusion.DataFrame) -> pa.Schema:
    """The columns as they will come: branches of a union agree about their types only when the plan is optimised."""
    optimised = context.create_dataframe_from_logical_plan(output.optimized_logical_plan()).schema()
    typed = [field.with_type(final.type) for field, final in zip(output.schema(), optimised, strict=True)]
    return as_upstream(pa.schema(typed), output.logical_plan())


def _unsorted(context: datafusion.SessionContext, frame: datafusion.DataFrame) -> datafusion.DataFrame:
    """Without a last plain ORDER BY: it has no effect, but DataFusion would mix the branches of a union below it."""
    plan = frame.logical_plan()
    while type(node := plan.to_variant()).__name__ == "Sort" and node.get_fetch_val() is None:
        (plan,) = plan.inputs()
    return context.create_dataframe_from_logical_plan(plan)


def in_written_order(context: datafusion.SessionContext, frame: datafusion.DataFrame) -> Iterator[pa.RecordBatch]:
    """Rows as they come out of the plan, one branch of a UNION ALL after the other.

    Nothing above the query asks for an order, so DataFusion drops a plain ORDER BY, as it does under the row number
    that upstream adds. A union with a table that happens to be empty says the same and keeps branches apart.
    """
    ordered = in_branch_order(context, frame)
    for branch in ordered.union(empty_frame(context, ordered.schema())).execute_stream_partitioned():
        for batch in branch:
            yield batch.to_pyarrow()
