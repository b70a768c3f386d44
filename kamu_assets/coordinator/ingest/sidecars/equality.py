"""When two values are one, as the SQL engine says: nulls are equal, zeros are equal, of floats else the bits decide."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from datafusion import SessionConfig, SessionContext

from kamu_assets.coordinator.ingest.sidecars.key_hash import integers

Mask = npt.NDArray[np.bool_]


def distinct(old: pa.Array, new: pa.Array) -> Mask:
    """Row by row: `old IS DISTINCT FROM new`."""
    if pt.is_nested(old.type):
        return _nested_distinct(old, new)
    if pt.is_floating(old.type):
        old, new = integers(old), integers(new)
    differ = pc.not_equal(old, new)
    if differ.null_count:
        differ = pc.if_else(pc.is_valid(differ), differ, pc.xor(pc.is_null(old), pc.is_null(new)))
    return as_mask(differ)


def same_keys(some: Sequence[pa.Array], others: Sequence[pa.Array]) -> Mask:
    """Row by row: whether all columns are equal."""
    different = np.zeros(len(some[0]), np.bool_)
    for one, other in zip(some, others, strict=True):
        different |= distinct(one, other)
    return ~different


def any_null(columns: Sequence[pa.Array]) -> Mask | None:
    """Rows with a null in some of the columns; None when there are no such rows."""
    found = [as_mask(column.is_null()) for column in columns if column.null_count]
    return np.logical_or.reduce(found) if found else None


def as_mask(array: pa.Array) -> Mask:
    """A boolean array without nulls as numpy has it."""
    mask: Mask = array.to_numpy(zero_copy_only=False)
    return mask


def _nested_distinct(old: pa.Array, new: pa.Array) -> Mask:
    context = SessionContext(SessionConfig().with_target_partitions(1))
    context.from_arrow(pa.table({"old": old, "new": new}), "pairs")
    found: Any = context.sql("SELECT old IS DISTINCT FROM new AS differ FROM pairs").to_arrow_table()
    return as_mask(found["differ"].combine_chunks())
