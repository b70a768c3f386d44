"""Queries for nothing but the number of rows of a table: `count(*)`, under whatever name, of all of it.

Told from the plan: between the answer, that count and the only table are nothing but columns and aliases.
"""

from collections.abc import Iterator
from typing import Final

from datafusion.expr import Aggregate, Projection, SubqueryAlias, TableScan
from datafusion.plan import LogicalPlan

from kamu_assets.query.plans.walking import reads_once, shown, variant_of, way_down

# What DataFusion makes of `count(*)` and `count(1)`; there is more text where less is counted.
_COUNT: Final = "count(Int64(1))"
# Of tables made of files, in our sessions; those of the information schema have names.
_FILES: Final = "?table?"


def is_row_count(plan: LogicalPlan) -> bool:
    """Whether the answer is one row, each of its columns the number of rows of the table that is read."""
    steps = map(variant_of, way_down(plan))
    count = _after_names(steps)
    if not isinstance(count, Aggregate) or count.group_by_exprs() or not reads_once(plan):
        return False
    if any(each.canonical_name() != _COUNT for each in count.aggregate_exprs()):
        return False
    scan = _after_names(steps)
    return isinstance(scan, TableScan) and scan.table_name() == _FILES and not scan.filters() and scan.fetch() is None


def _after_names(steps: Iterator[object]) -> object:
    """The first step that does more than to name columns."""
    for step in steps:
        match step:
            case Projection() if all(source is not None for _, source in map(shown, step.projections())):
                pass
            case SubqueryAlias():
                pass
            case _:
                return step
    return None
