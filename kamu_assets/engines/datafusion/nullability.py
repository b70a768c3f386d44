"""Which columns upstream's engine calls nullable although ours knows better.

The version of DataFusion in upstream's engine takes the results of a few functions for nullable whatever goes in; ours
looks at their arguments. The schema of a derivative dataset is made from this, so it has to be the same (compared over
all scalar functions: DataFusion 51 against 55).
"""

from typing import Any, Final

import pyarrow as pa

_ALWAYS_NULLABLE: Final = frozenset(
    {"date_part", "datepart", "date_trunc", "datetrunc", "ifnull", "nvl", "nvl2", "round"}
)
_PASSED_ON: Final = frozenset(
    {"Alias", "Between", "BinaryExpr", "Cast", "InList", "Like", "Negative", "Not", "ScalarFunction", "TryCast"}
)

# Columns of a plan, and whether each owes it to such a function that it is nullable.
_Columns = list[tuple[str, bool]]


def as_upstream(schema: pa.Schema, plan: Any) -> pa.Schema:
    """The schema of a plan's output, with more columns nullable."""
    found = {name for name, nullable in _columns(plan) if nullable}
    return pa.schema([field.with_nullable(field.nullable or field.name in found) for field in schema])


def _columns(plan: Any) -> _Columns:
    """From the leaves up, without recursion: a plan may be deeper than Python's stack."""
    order, waiting = [], [plan]
    while waiting:
        node = waiting.pop()
        inputs = node.inputs()
        order.append((node.to_variant(), len(inputs)))
        waiting.extend(inputs)
    done: list[_Columns] = []
    for node, count in reversed(order):
        below = [done.pop() for _ in range(count)][::-1]
        done.append(_columns_of(node, below))
    return done.pop()


def _columns_of(node: Any, below: list[_Columns]) -> _Columns:
    match type(node).__name__:
        case "Projection":
            return [(_name(one), _nullable(one, below[0])) for one in node.projections()]
        case "Aggregate":
            groups = [(_name(one), _nullable(one, below[0])) for one in node.group_by_exprs()]
            return [*groups, *((_name(one), False) for one in node.aggregate_exprs())]
        case "Union":
            return [(columns[0][0], any(nullable for _, nullable in columns)) for columns in zip(*below, strict=False)]
        case _:
            return [column for columns in below for column in columns]


def _name(expression: Any) -> str:
    if expression.variant_name() == "Column":
        return str(expression.to_variant().name())
    return str(expression.schema_name())


def _nullable(expression: Any, columns: _Columns) -> bool:
    waiting = [expression]
    while waiting:
        one = waiting.pop()
        kind = one.variant_name()
        if kind == "Column" and (_name(one), True) in columns:
            return True
        if kind == "ScalarFunction" and one.rex_call_operator() in _ALWAYS_NULLABLE:
            return True
        if kind == "Case":
            waiting.extend(_results(one.to_variant()))
        elif kind in _PASSED_ON:
            waiting.extend(one.rex_call_operands())
    return False


def _results(case: Any) -> list[Any]:
    """What a CASE may come to."""
    results = [then for _, then in case.when_then_expr()]
    other = case.else_expr()
    return [*results, other] if other is not None else results
