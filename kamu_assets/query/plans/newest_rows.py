"""Queries that need only the newest rows: `ORDER BY offset DESC LIMIT n`, whatever is done with those rows.

Told from the plan: between that limit, that sort and the only table are nothing but columns and aliases. No row is
dropped or joined on the way, so others cannot be in the answer.
"""

from typing import Final

from datafusion.expr import Expr, Limit, Literal, Projection, Sort, SubqueryAlias, TableScan
from datafusion.plan import LogicalPlan

from kamu_assets.query.plans.walking import column_of, reads_once, shown, variant_of, way_down

_ALL: Final = 2**63


def newest_rows(plan: LogicalPlan, *, offset_column: str, at_most: int) -> int | None:
    """How many of the newest rows of its table the first `at_most` rows of the answer are made of; None for all."""
    if not reads_once(plan):
        return None
    needed = at_most
    for step in way_down(plan):
        match variant_of(step):
            case Limit() as limit:
                skipped, wanted = _number(limit.skip(), 0), _number(limit.fetch(), needed)
                needed = _ALL if skipped is None or wanted is None else skipped + min(wanted, needed)
            case Projection() | SubqueryAlias():
                pass
            case Sort() as sort if needed < _ALL and _is_by(sort, step, offset_column):
                return needed
            case _:
                # Whatever it makes, it makes of all it is given.
                needed = _ALL
    return None


def _is_by(sort: Sort, step: LogicalPlan, offset_column: str) -> bool:
    """Whether it sorts by this column of the table, the largest first."""
    first = sort.sort_exprs()[0]
    name = column_of(first.expr())
    return name is not None and not first.ascending() and _source(step.inputs()[0], name) == offset_column


def _source(plan: LogicalPlan, name: str) -> str | None:
    """The name that a column has in the table."""
    for step in way_down(plan):
        match variant_of(step):
            case Projection() as projection:
                sources = {source for alias, source in map(shown, projection.projections()) if alias == name}
                source = sources.pop() if len(sources) == 1 else None
                if source is None:
                    return None
                name = source
            case SubqueryAlias():
                pass
            case TableScan() as scan if not scan.filters() and scan.fetch() is None:
                return name
            case _:
                return None
    return None


def _number(expression: Expr | None, default: int) -> int | None:
    if expression is None:
        return default
    number = expression.python_value().as_py() if isinstance(variant_of(expression), Literal) else None
    return number if isinstance(number, int) else None
