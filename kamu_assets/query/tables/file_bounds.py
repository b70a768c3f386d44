"""What footers of files tell about columns of times; files never change, so it is kept."""

import functools
from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.query.plans.filter_bounds import Bounds

_REMEMBERED: Final = 16_384


@functools.lru_cache(maxsize=_REMEMBERED)
def time_bounds(path: str, column: str, data_type: str) -> Bounds:
    """The first and last moment in a file; no bounds where it does not tell both in this very type."""
    try:
        footer = pq.read_metadata(path)
        found = list(_of_groups(footer, column, data_type))
    except (OSError, pa.ArrowException):
        # Whoever reads it will say what is wrong with it.
        return Bounds()
    return Bounds(min(each.low for each in found), max(each.high for each in found)) if found else Bounds()


def _of_groups(footer: pq.FileMetaData, column: str, data_type: str) -> Iterator[Bounds]:
    schema = footer.schema.to_arrow_schema()
    is_told = schema.get_all_field_indices(column) and str(schema.field(column).type) == data_type
    for group in (footer.row_group(index) for index in range(footer.num_row_groups)):
        chunks = (group.column(index) for index in range(group.num_columns))
        stats = next((chunk.statistics for chunk in chunks if chunk.path_in_schema == column), None)
        if not is_told or stats is None or not stats.has_min_max or stats.physical_type != "INT64":
            yield Bounds()
            continue
        yield Bounds(stats.min_raw, stats.max_raw)
