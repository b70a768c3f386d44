"""A DataFusion table over exactly these files.

`read_parquet` takes one path; a scan of many is made by editing the serialised plan of one: its single node keeps the
list of paths in a repeated field. Both ends are the same, exactly pinned version, and a test notices a change.
"""

import functools
import os
from collections.abc import Iterable, Sequence
from typing import Any, Final

import datafusion
import pyarrow as pa
import pyarrow.parquet as pq
from datafusion.plan import LogicalPlan

from kamu_assets.engines.protobuf import LENGTH_DELIMITED, fields, length_delimited, raw_fields
from kamu_assets.engines.slices.errors import LostSliceError
from kamu_assets.engines.slices.storable import has_floats

_SCAN_NODE: Final = 1
_PATHS: Final = 2
_FLOATS: Final = ("FLOAT", "DOUBLE")


def listing(
    context: datafusion.SessionContext,
    paths: Sequence[str],
    *,
    schema: pa.Schema | None = None,
    sorted_by: str | None = None,
    hides_nan: bool | None = None,
) -> datafusion.DataFrame:
    """One native scan over `paths`, in their order. Without `schema` that of the first file holds for all.

    `sorted_by` is a promise: rows of every file are in this order, and files do not overlap. `hides_nan` is what
    `may_hide_nan` would say, where footers are known already.
    """
    check_present(paths)
    if may_hide_nan(paths, schema=schema) if hides_nan is None else hides_nan:
        trust_no_bounds(context)
    template = context.read_parquet(
        paths[0], schema=schema, file_extension="", file_sort_order=[[sorted_by]] if sorted_by else None
    )
    plan = _with_paths(template.logical_plan().to_bytes(), [_as_url(path) for path in paths])
    return context.create_dataframe_from_logical_plan(LogicalPlan.from_bytes(context, plan))


def check_present(paths: Sequence[str]) -> None:
    """Raise unless all local files are there: DataFusion reads a missing one as an empty folder."""
    for path in paths:
        if not _is_url(path) and not os.path.isfile(path):  # noqa: PTH113 - of thousands, in half the time
            raise LostSliceError(path)


def are_present(paths: Iterable[str]) -> bool:
    """Whether all local files are there."""
    return all(_is_url(path) or os.path.isfile(path) for path in paths)  # noqa: PTH113 - as above


def may_hide_nan(paths: Iterable[str], *, schema: pa.Schema | None) -> bool:
    """Whether bounds of these files leave NaN out: a session that reads them must not trust any."""
    return (schema is None or has_floats(schema)) and any(_may_hide_nan(path) for path in paths)


def trust_no_bounds(context: datafusion.SessionContext) -> None:
    """From now on: DataFusion takes a column for constant whose bounds are equal."""
    context.sql("SET datafusion.execution.collect_statistics = false")


@functools.lru_cache(maxsize=65_536)
def _may_hide_nan(path: str) -> bool:
    """Whether a file tells bounds of floating-point columns; slices of ours don't."""
    if _is_url(path):
        return True
    try:
        found = pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        # Whoever reads it will say what is wrong with it.
        return True
    return tells_bounds_of_floats(found)


def tells_bounds_of_floats(footer: pq.FileMetaData) -> bool:
    """Whether a footer has bounds that leave NaN out."""
    return any(
        chunk.physical_type in _FLOATS and chunk.is_stats_set
        for group in (footer.row_group(index) for index in range(footer.num_row_groups))
        for chunk in (group.column(index) for index in range(footer.num_columns))
    )


def _is_url(path: str) -> bool:
    return "://" in path


def _as_url(path: str) -> bytes:
    return (path if _is_url(path) else f"file://{path}").encode()


def _with_paths(plan: bytes, urls: Sequence[bytes]) -> bytes:
    ((number, wire_type, scan),) = fields(plan)
    if number != _SCAN_NODE or wire_type != LENGTH_DELIMITED:
        raise RuntimeError("DataFusion serialises a scan in another way than the pinned version")
    kept = b"".join(raw for field, _, raw in raw_fields(scan) if field != _PATHS)
    return length_delimited(_SCAN_NODE, b"".join(length_delimited(_PATHS, url) for url in urls) + kept)


def ipc_schema(schema: pa.Schema) -> bytes:
    """The schema as an Arrow IPC message, to be sent to a worker."""
    return bytes(schema.serialize())


def schema_from_ipc(data: bytes) -> Any:
    return pa.ipc.read_schema(pa.py_buffer(data))
