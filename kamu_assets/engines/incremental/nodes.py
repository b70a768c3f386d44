"""DataFusion's logical plans, as this engine looks at them: before any optimization, just as the query was written."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import datafusion
from datafusion.plan import LogicalPlan

from kamu_assets.engines.incremental.errors import UnsupportedConstructError

_WORDS: Final = {
    "Limit": "LIMIT",
    "Sort": "ORDER BY (rows come in the order of event time, then all columns)",
    "Distinct": "DISTINCT",
    "Union": "UNION",
    "WindowExpr": "OVER (…)",
    "Unnest": "UNNEST",
    "EmptyRelation": "a query without FROM",
    "Values": "VALUES",
    "RecursiveQuery": "WITH RECURSIVE",
    "Join": "a join without a temporal table",
    "Aggregate": "an aggregation without a window",
}


def kind(node: LogicalPlan) -> str:
    """The class of a node."""
    return type(variant(node)).__name__


def variant(node: LogicalPlan) -> Any:
    """A node with its own fields."""
    try:
        return node.to_variant()
    except Exception:  # noqa: BLE001 - the library knows nodes that it has no class for
        raise UnsupportedConstructError(node.display().split(":")[0]) from None


def child(node: LogicalPlan) -> LogicalPlan:
    """The only input of a node."""
    (found,) = node.inputs()
    return found


def only_table(node: LogicalPlan) -> str:
    """The only table that a chain of projections and filters reads."""
    match kind(node):
        case "TableScan":
            return str(variant(node).table_name())
        case "Projection" | "Filter" | "SubqueryAlias":
            return only_table(child(node))
        case _:
            raise refused(node)


def refused(node: LogicalPlan) -> UnsupportedConstructError:
    """That there is no place for this node in any shape."""
    name = kind(node)
    return UnsupportedConstructError(_WORDS.get(name, name))


def check_no_subqueries(plan: LogicalPlan) -> None:
    """Refuse queries inside of expressions."""
    if any(line.strip() == "Subquery:" for line in plan.display_indent().splitlines()):
        raise UnsupportedConstructError("a subquery in an expression")


def expressions(raw: Sequence[Any]) -> list[datafusion.Expr]:
    """Expressions of a node, as those of the DataFrame API."""
    return [datafusion.Expr(one) for one in raw]


def conjuncts(expr: datafusion.Expr) -> Iterator[datafusion.Expr]:
    """The parts of `a AND b AND c`."""
    if expr.variant_name() == "BinaryExpr" and expr.to_variant().op() == "AND":
        both = expr.to_variant()
        yield from conjuncts(datafusion.Expr(both.left()))
        yield from conjuncts(datafusion.Expr(both.right()))
    else:
        yield expr


def relations(expr: datafusion.Expr) -> set[str | None] | None:
    """The tables whose columns are used; None when that cannot be told."""
    if expr.variant_name() == "Column":
        return {expr.to_variant().relation()}
    if expr.variant_name() == "Literal":
        return set()
    try:
        operands = [
            one if isinstance(one, datafusion.Expr) else datafusion.Expr(one) for one in expr.rex_call_operands()
        ]
    except Exception:  # noqa: BLE001 - not every kind of expression can be taken apart
        return None
    found: set[str | None] = set()
    for operand in operands:
        inner = None if operand.canonical_name() == expr.canonical_name() else relations(operand)
        if inner is None:
            return None
        found |= inner
    return found
