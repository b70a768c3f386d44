"""Plans as Python sees them."""

from collections.abc import Iterator
from typing import Any, Final

from datafusion.expr import Alias, Column, Expr
from datafusion.plan import LogicalPlan

_SCAN: Final = "TableScan: "


def reads_once(plan: LogicalPlan) -> bool:
    """Whether it reads one table, one time. Subqueries in expressions read tables, too: the text of a plan has them."""
    return plan.display_indent().count(_SCAN) == 1


def variant_of(part: Expr | LogicalPlan) -> Any:
    """None for what the library cannot show to Python."""
    try:
        return part.to_variant()
    except ValueError:
        return None


def way_down(plan: LogicalPlan) -> Iterator[LogicalPlan]:
    """From the root down, as long as there is one way."""
    inputs = [plan]
    while len(inputs) == 1:
        yield inputs[0]
        inputs = inputs[0].inputs()


def shown(expression: Expr) -> tuple[str | None, str | None]:
    """Name and source of what a projection shows; the source of what is no column is None."""
    variant = variant_of(expression)
    if isinstance(variant, Alias):
        return variant.alias(), shown(variant.expr())[1]
    name = column_of(expression)
    return name, name


def column_of(expression: Expr) -> str | None:
    """The name of a column, if it is nothing but that."""
    variant = variant_of(expression)
    return variant.name() if isinstance(variant, Column) else None
