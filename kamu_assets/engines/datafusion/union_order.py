"""Branches of a UNION ALL come one after the other, also where more is done with their rows.

DataFusion reads all branches at once and mixes them as they come before it groups, numbers or limits rows: no two runs
need agree. Here each row of such a union gets the number of its branch, and the streams are merged by that number: a
sort in name only, because every stream is sorted by it already. The LIMIT keeps DataFusion from dropping the order.
Unions that nothing but filters and projections stand above are left alone; whoever reads the output takes their
branches in turn. A join there would wait for all of them, and its reader for the first one.
"""

from collections.abc import Iterator
from typing import Any, Final

import datafusion
import pyarrow as pa
from datafusion.plan import LogicalPlan

from kamu_assets.engines.protobuf import with_replaced
from kamu_assets.engines.session import quoted

_BRANCH: Final = "kamu branch"
_ALL: Final = 2**63 - 1
# They pass the rows of their partitions on as they come, if they ask no subquery: that becomes a join.
_KEEP_PARTITIONS: Final = frozenset({"Filter", "Projection", "SubqueryAlias", "Union"})
_SUBQUERY: Final = "<subquery>"


def in_branch_order(context: datafusion.SessionContext, frame: datafusion.DataFrame) -> datafusion.DataFrame:
    """The same query with its inner unions in order."""
    plan = frame.logical_plan()
    if next(_inner_unions(plan), None) is None:
        return frame
    plan = _serialisable(frame)
    while (union := next(_inner_unions(plan), None)) is not None:
        merged = _merged(context, union).logical_plan().to_bytes()
        before = plan.to_bytes()
        after = with_replaced(before, union.to_bytes(), merged)
        if after == before:
            raise RuntimeError("DataFusion serialises a plan in another way than its parts")
        plan = LogicalPlan.from_bytes(context, after)
    return context.create_dataframe_from_logical_plan(plan)


def _serialisable(frame: datafusion.DataFrame) -> LogicalPlan:
    """The plan as written; as a plan of joins where it has subqueries that cannot be serialised."""
    plan = frame.logical_plan()
    try:
        plan.to_bytes()
    except Exception:  # noqa: BLE001 - the library has one exception for everything
        return frame.optimized_logical_plan()
    return plan


def _inner_unions(plan: LogicalPlan) -> Iterator[LogicalPlan]:
    """Unions whose rows are mixed, outer ones first."""
    waiting = [(plan, True)]
    while waiting:
        node, partitions_kept = waiting.pop()
        kind = type(node.to_variant()).__name__
        inputs = node.inputs()
        if kind == "Union" and not partitions_kept and not _is_merged(node):
            yield node
        kept = partitions_kept and kind in _KEEP_PARTITIONS and _SUBQUERY not in node.display()
        waiting.extend((one, kept) for one in reversed(inputs))


def _is_merged(union: LogicalPlan) -> bool:
    first = next(_branches(union)).to_variant()
    return type(first).__name__ == "Projection" and first.projections()[-1].schema_name() == _BRANCH


def _merged(context: datafusion.SessionContext, union: LogicalPlan) -> datafusion.DataFrame:
    names = context.create_dataframe_from_logical_plan(union).schema().names
    frames = [_numbered(context, branch, names, number) for number, branch in enumerate(_branches(union))]
    mixed = frames[0]
    for frame in frames[1:]:
        mixed = mixed.union(frame)
    ordered = mixed.sort(datafusion.col(quoted(_BRANCH)).sort()).limit(_ALL)
    return ordered.select(*(datafusion.col(quoted(name)) for name in names))


def _branches(union: LogicalPlan) -> Iterator[LogicalPlan]:
    """In the written order; `a UNION ALL b UNION ALL c` is a union in a union."""
    waiting = [union]
    while waiting:
        node = waiting.pop()
        if type(node.to_variant()).__name__ == "Union":
            waiting.extend(reversed(node.inputs()))
        else:
            yield node


def _numbered(
    context: datafusion.SessionContext, branch: LogicalPlan, names: list[str], number: int
) -> datafusion.DataFrame:
    frame = context.create_dataframe_from_logical_plan(branch)
    columns = [
        datafusion.col(quoted(found)).alias(name) for found, name in zip(frame.schema().names, names, strict=True)
    ]
    place: Any = datafusion.lit(pa.scalar(number, pa.int32()))
    return frame.select(*columns, place.alias(_BRANCH))
