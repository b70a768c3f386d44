"""Which columns of its inputs a derivative's columns are made of, read from the SQL of its transform.

A column is made of what its expression names; filters, joins and groupings only decide which rows there are. What is
not understood has no lineage: better none than a wrong one.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from kamu_assets.odf.engine import TransformSql, normalize_transform
from kamu_assets.orchestration.reports.sql_columns import Columns, Origin, UnknownShapeError, columns_of_query

# Longer queries are machine-made, and nobody looks at the lineage of wider tables.
MAX_TEXT: Final = 50_000
MAX_COLUMNS: Final = 1_000


@lru_cache(maxsize=256)
def column_lineage(
    transform: TransformSql, inputs: tuple[tuple[str, tuple[str, ...]], ...]
) -> Mapping[str, Sequence[Origin]]:
    """Origins of the columns of a transform's output, as far as they are understood.

    Inputs are the names of tables in the queries with their columns.
    """
    steps = normalize_transform(transform).queries or ()
    if sum(len(step.query) for step in steps) > MAX_TEXT or any(len(names) > MAX_COLUMNS for _, names in inputs):
        return {}
    tables: dict[str, Columns] = {
        table: {name: frozenset({(table, name)}) for name in names} for table, names in inputs
    }
    output: Columns = {}
    for step in steps:
        try:
            output = columns_of_query(step.query, tables)
        except UnknownShapeError:
            return {}
        tables[step.alias or ""] = output
    return {name: sorted(origins) for name, origins in output.items() if origins}
