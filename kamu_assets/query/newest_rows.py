"""Queries that need only the newest rows: `ORDER BY offset DESC LIMIT n`, whatever is done with those rows.

Told from the plan: between that limit, that sort and the only table are nothing but columns and aliases. No row is
dropped or joined on the way, so others cannot be in the answer.
"""

from collections.abc import Iterator
from typing import Any, Final

from datafusion.expr import Alias, Column, Expr, Limit, Literal, Projection, Sort, SubqueryAlias, TableScan
from datafusion.plan import LogicalPlan

_SCAN: Final = "TableScan: "
_ALL: Final = 2**63


def newest_rows(plan: LogicalPlan, *, offset_column: str, at_most: int) -> int | None:
    """How many of the newest rows of its table the first `at_most` rows of the answer are made of; None for all."""
    # Subqueries in expressions read tables, too.
    if plan.display_indent().count(_SCAN) != 1:
        return None
    needed = at_most
    for step in _steps(plan):
        match _variant(step):
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
    name = _column(first.expr())
    return name is not None and not first.ascending() and _source(step.inputs()[0], name) == offset_column


def _source(plan: LogicalPlan, name: str) -> str | None:
    """The name that a column has in the table."""
    for step in _steps(plan):
        match _variant(step):
            case Projection() as projection:
                sources = {source for shown, source in map(_shown, projection.projections()) if shown == name}
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


def _shown(expression: Expr) -> tuple[str | None, str | None]:
    """Name and source of what a projection shows."""
    variant = _variant(expression)
    if isinstance(variant, Alias):
        return variant.alias(), _column(variant.expr())
    name = _column(expression)
    return name, name


def _column(expression: Expr) -> str | None:
    variant = _variant(expression)
    return variant.name() if isinstance(variant, Column) else None


def _number(expression: Expr | None, default: int) -> int | None:
    if expression is None:
        return default
    number = expression.python_value().as_py() if isinstance(_variant(expression), Literal) else None
    return number if isinstance(number, int) else None


def _variant(expression: Expr | LogicalPlan) -> Any:
    """None for what the library cannot show to Python."""
    try:
        return expression.to_variant()
    except ValueError:
        return None


def _steps(plan: LogicalPlan) -> Iterator[LogicalPlan]:
    """From the root down, as long as there is one way."""
    inputs = [plan]
    while len(inputs) == 1:
        yield inputs[0]
        inputs = inputs[0].inputs()
