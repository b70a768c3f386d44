"""A stream joined with a temporal table: each row meets the version that was valid at its own event time.

A row is decided once both inputs are complete beyond its time: then no version that it could need is still to come. So
what comes out depends on the rows that are in time, not on which input was read first or how far at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import datafusion
import pyarrow as pa
import pyarrow.types as pt
from datafusion.plan import LogicalPlan

from kamu_assets.engines.incremental.errors import UnsupportedConstructError
from kamu_assets.engines.incremental.nodes import (
    check_no_subqueries,
    child,
    conjuncts,
    expressions,
    kind,
    refused,
    relations,
    variant,
)
from kamu_assets.engines.incremental.rewrite import TemporalTable
from kamu_assets.engines.incremental.times import Times, passed_through
from kamu_assets.engines.incremental.versions import Versions

TIME: Final = "kamu time"
SINCE: Final = "kamu since"
OPERATION: Final = "kamu operation"
_ROW, _VERSION = "kamu row", "kamu version"
_STREAM, _VERSIONS = "kamu stream", "kamu versions"


@dataclass(frozen=True, slots=True)
class _Side:
    """A table of a join and the name its columns have."""

    table: str
    alias: str


@dataclass(frozen=True, slots=True)
class _Key:
    """`table column = expression over the stream`."""

    column: str
    value: datafusion.Expr
    equation: str


@dataclass(frozen=True)
class JoinQuery:
    """A join, taken apart. Expressions refer to columns by `stream.alias` and `versions.alias`."""

    stream: _Side
    versions: _Side
    is_left: bool
    keys: list[_Key]
    # What else must hold for a version to match, and what for a row to stay.
    condition: list[datafusion.Expr]
    where: list[datafusion.Expr]
    projection: list[datafusion.Expr]
    used: Mapping[str, frozenset[str]]

    @classmethod
    def planned(
        cls, frame: datafusion.DataFrame, temporal: TemporalTable, *, primary_key: Sequence[str] | None
    ) -> "JoinQuery":
        """Take a query apart; raise unless it is a join of a stream with this temporal table on its primary key."""
        plan = frame.logical_plan()
        check_no_subqueries(plan)
        if kind(plan) != "Projection":
            raise refused(plan)
        projection, node, where = expressions(variant(plan).projections()), child(plan), list[datafusion.Expr]()
        if kind(node) == "Filter":
            where, node = list(conjuncts(datafusion.Expr(variant(node).predicate()))), child(node)
        if kind(node) != "Join":
            raise (
                UnsupportedConstructError("a temporal table without a join")
                if kind(node) == "TableScan"
                else refused(node)
            )
        stream, versions = (_side(one) for one in node.inputs())
        if versions.table != temporal.table or temporal.time[:-1] not in ((), (stream.alias,)):
            raise UnsupportedConstructError("a temporal table that is not the right side of the join")
        condition, is_left = _condition(node)
        sources = condition if is_left else [*condition, *where]
        keys = _keys(sources, stream, versions, primary_key)
        taken = {key.equation for key in keys}
        return cls(
            stream=stream,
            versions=versions,
            is_left=is_left,
            keys=keys,
            condition=[one for one in condition if one.canonical_name() not in taken],
            where=[one for one in where if is_left or one.canonical_name() not in taken],
            projection=projection,
            used=_used(frame.optimized_logical_plan()),
        )

    def times(self, times: Times, names: Sequence[str]) -> Times:
        """Which columns of the output are event time: those of the stream."""
        found = [passed_through(expr, times, relation=self.stream.alias) for expr in self.projection]
        return {name: column for name, column in zip(names, found, strict=True) if column is not None}


def needed_versions(query: JoinQuery, versions: pa.Table, moment: int) -> pa.Table:
    """The versions that rows at `moment` or later can meet."""
    return versions.filter(pa.array(known_versions(query, versions).needed_from(moment))).combine_chunks()


def known_versions(query: JoinQuery, versions: pa.Table) -> Versions:
    """The history of the keys that the query looks up."""
    keys = [comparable(versions[key.column]) for key in query.keys]
    times, operations, since = (versions[name].to_numpy() for name in (TIME, OPERATION, SINCE))
    return Versions(keys, times, operations, since=since)


def _side(node: LogicalPlan) -> _Side:
    alias = None
    if kind(node) == "SubqueryAlias":
        alias, node = str(variant(node).alias()), child(node)
    if kind(node) != "TableScan":
        raise refused(node) if kind(node) == "Join" else UnsupportedConstructError("a temporal join of a subquery")
    name = str(variant(node).table_name())
    return _Side(name, alias or name)


def _condition(node: LogicalPlan) -> tuple[list[datafusion.Expr], bool]:
    join = variant(node)
    how = str(join.join_type())
    if how not in ("Inner", "Left"):
        raise UnsupportedConstructError(f"a {how.upper()} JOIN with a temporal table")
    if join.on():
        raise UnsupportedConstructError("JOIN … USING with a temporal table")
    condition = join.filter()
    return ([] if condition is None else list(conjuncts(datafusion.Expr(condition)))), how == "Left"


def _keys(
    sources: list[datafusion.Expr], stream: _Side, versions: _Side, primary_key: Sequence[str] | None
) -> list[_Key]:
    """The equations that choose a version, taken out of `sources`; all of the primary key, or all there are."""
    found: dict[str, _Key] = {}
    for expr in sources:
        key = _key(expr, stream, versions)
        if key is not None and key.column not in found and (primary_key is None or key.column in primary_key):
            found[key.column] = key
    missing = [name for name in primary_key or () if name not in found]
    if missing or not found:
        what = ", ".join(missing) or "a key of the table"
        raise UnsupportedConstructError(f"a temporal join without an equation of {what} and a value of the stream")
    return list(found.values())


def _key(expr: datafusion.Expr, stream: _Side, versions: _Side) -> _Key | None:
    if expr.variant_name() != "BinaryExpr" or expr.to_variant().op() != "=":
        return None
    both = expr.to_variant()
    left, right = datafusion.Expr(both.left()), datafusion.Expr(both.right())
    for column, value in ((left, right), (right, left)):
        is_column = column.variant_name() == "Column" and column.to_variant().relation() == versions.alias
        if is_column and relations(value) == {stream.alias}:
            return _Key(str(column.to_variant().name()), value, str(expr.canonical_name()))
    return None


def _used(plan: LogicalPlan) -> dict[str, frozenset[str]]:
    """The columns that are needed of each table."""
    found: dict[str, frozenset[str]] = {}
    if kind(plan) == "TableScan":
        scan = variant(plan)
        found[str(scan.table_name())] = frozenset(name for _, name in scan.projection())
    for node in plan.inputs():
        for name, columns in _used(node).items():
            found[name] = found.get(name, frozenset()) | columns
    return found


def comparable(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Keys, whole numbers of the largest size."""
    return values.cast(key_type(values.type))


def key_type(of: pa.DataType) -> pa.DataType:
    """What keys of a type are compared as."""
    return pa.int64() if pt.is_integer(of) and not pt.is_uint64(of) else of
