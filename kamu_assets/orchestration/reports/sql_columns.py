"""Which columns of its tables the columns of one query are made of."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

# Names keep their case, as in our sessions of DataFusion.
_DIALECT: Final = ", normalization_strategy=case_sensitive"
# Each level costs as much as all above it.
MAX_DEPTH: Final = 300

# A table inside the queries, and a column of it.
Origin = tuple[str, str]
# What each column comes from; None where that is not understood.
Columns = Mapping[str, frozenset[Origin] | None]


class UnknownShapeError(Exception):
    """SQL whose columns cannot be followed."""


def columns_of_query(query: str, tables: Mapping[str, Columns]) -> Columns:
    """The output of a query; UnknownShapeError where not even its names are sure."""
    # Heavy, and only needed where a derivative has new data.
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.scope import build_scope

    try:
        scope = build_scope(_qualified(query, tables))
    except (SqlglotError, RecursionError, ValueError, KeyError, AttributeError) as error:
        raise UnknownShapeError from error
    if scope is None:
        raise UnknownShapeError
    return _Walk(tables).columns(scope)


def _qualified(query: str, tables: Mapping[str, Columns]) -> "exp.Expr":
    """The query with stars written out and every column with its table."""
    from sqlglot import exp, parse_one
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.schema import MappingSchema

    parsed = parse_one(query, dialect=_DIALECT)
    if not isinstance(parsed, exp.Query):
        raise UnknownShapeError
    _check_depth(parsed)
    schema = MappingSchema(dialect=_DIALECT, normalize=False)
    for table, columns in tables.items():
        schema.add_table(exp.Table(this=exp.to_identifier(table, quoted=True)), dict.fromkeys(columns, "text"))
    return qualify(
        parsed,
        dialect=_DIALECT,
        schema=schema,
        # DataFusion knows no aliases of the same SELECT list.
        expand_alias_refs=False,
        validate_qualify_columns=False,
        quote_identifiers=False,
        identify=False,
    )


def _check_depth(expression: "exp.Expr") -> None:
    level = [expression]
    for _ in range(MAX_DEPTH):
        level = [below for each in level for below in each.iter_expressions()]
        if not level:
            return
    raise UnknownShapeError


class _Walk:
    """From a query down to its tables."""

    def __init__(self, tables: Mapping[str, Columns]) -> None:
        self._tables = tables
        # None while a query is being looked at: it may name itself.
        self._known: dict[int, Columns | None] = {}

    def columns(self, scope: "Scope") -> Columns:
        """The output of a query."""
        at = id(scope)
        if at not in self._known:
            self._known[at] = None
            self._known[at] = self._union(scope) if scope.set_operation_scopes else self._select(scope)
        found = self._known[at]
        if found is None:
            raise UnknownShapeError
        return found

    def _union(self, scope: "Scope") -> Columns:
        """Branches agree by position; the first one names the columns."""
        from sqlglot import exp

        expression = scope.expression
        if not isinstance(expression, exp.SetOperation) or expression.args.get("by_name"):
            raise UnknownShapeError
        branches = [self.columns(branch) for branch in scope.set_operation_scopes]
        if len({len(branch) for branch in branches}) != 1:
            raise UnknownShapeError
        if not isinstance(expression, exp.Union):
            # EXCEPT and INTERSECT only choose among the rows of the first.
            return branches[0]
        origins = zip(*(branch.values() for branch in branches), strict=True)
        return {name: _joined(each) for name, each in zip(branches[0], origins, strict=True)}

    def _select(self, scope: "Scope") -> Columns:
        from sqlglot import exp

        if not isinstance(scope.expression, exp.Select):
            raise UnknownShapeError
        named = [(each.alias_or_name, self._origins(scope, each)) for each in scope.expression.selects]
        found = dict(named)
        if len(found) != len(named) or "*" in found:
            raise UnknownShapeError
        return found

    def _origins(self, scope: "Scope", projection: "exp.Expr") -> frozenset[Origin] | None:
        from sqlglot import exp

        if projection.find(exp.Query):
            return None
        return _joined([self._origin(scope, column) for column in projection.find_all(exp.Column)])

    def _origin(self, scope: "Scope", column: "exp.Column") -> frozenset[Origin] | None:
        from sqlglot import exp

        source = scope.sources.get(column.table)
        if source is None:
            raise UnknownShapeError
        try:
            columns = self._table(source) if isinstance(source, exp.Table) else self.columns(source)
        except UnknownShapeError:
            return None
        if column.name not in columns:
            raise UnknownShapeError
        return columns[column.name]

    def _table(self, table: "exp.Table") -> Columns:
        if table.db or table.name not in self._tables:
            raise UnknownShapeError
        return self._tables[table.name]


def _joined(origins: Sequence[frozenset[Origin] | None]) -> frozenset[Origin] | None:
    if any(each is None for each in origins):
        return None
    return frozenset().union(*(each for each in origins if each))
