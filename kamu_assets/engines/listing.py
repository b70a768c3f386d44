"""A DataFusion table over exactly these files.

`read_parquet` takes one path; a scan of many is made by editing the serialised plan of one: its single node keeps the
list of paths in a repeated field. Both ends are the same, exactly pinned version, and a test notices a change.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import datafusion
import pyarrow as pa
from datafusion.plan import LogicalPlan

from kamu_assets.errors import UnavailableError

_SCAN_NODE: Final = 1
_PATHS: Final = 2
_LENGTH_DELIMITED: Final = 2
_FIXED_SIZES: Final = {1: 8, 5: 4}


class LostSliceError(UnavailableError):
    """A data slice is not where it should be."""

    def __init__(self, path: str) -> None:
        self.name = path.rpartition("/")[2]
        super().__init__(f"data slice {self.name} is missing in the store; run `kamu-node doctor`")


def listing(
    context: datafusion.SessionContext,
    paths: Sequence[str],
    *,
    schema: pa.Schema | None = None,
    sorted_by: str | None = None,
) -> datafusion.DataFrame:
    """One native scan over `paths`, in their order. Without `schema` that of the first file holds for all.

    `sorted_by` is a promise: rows of every file are in this order, and files do not overlap.
    """
    check_present(paths)
    template = context.read_parquet(
        paths[0], schema=schema, file_extension="", file_sort_order=[[sorted_by]] if sorted_by else None
    )
    plan = _with_paths(template.logical_plan().to_bytes(), [_as_url(path) for path in paths])
    return context.create_dataframe_from_logical_plan(LogicalPlan.from_bytes(context, plan))


def check_present(paths: Sequence[str]) -> None:
    """Raise unless all local files are there: DataFusion reads a missing one as an empty folder."""
    for path in paths:
        if not _is_url(path) and not Path(path).is_file():
            raise LostSliceError(path)


def _is_url(path: str) -> bool:
    return "://" in path


def _as_url(path: str) -> bytes:
    return (path if _is_url(path) else f"file://{path}").encode()


def _with_paths(plan: bytes, urls: Sequence[bytes]) -> bytes:
    ((number, wire_type, scan),) = _fields(plan)
    if number != _SCAN_NODE or wire_type != _LENGTH_DELIMITED:
        raise RuntimeError("DataFusion serialises a scan in another way than the pinned version")
    kept = b"".join(raw for field, _, raw in _raw_fields(scan) if field != _PATHS)
    return _length_delimited(_SCAN_NODE, b"".join(_length_delimited(_PATHS, url) for url in urls) + kept)


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    for number, wire_type, raw in _raw_fields(message):
        _, start = _varint(raw, 0)
        _, start = _varint(raw, start)
        yield number, wire_type, raw[start:]


def _raw_fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Protocol Buffers: number, wire type and all bytes of each field."""
    position = 0
    while position < len(message):
        tag, end = _varint(message, position)
        wire_type = tag & 7
        if wire_type == _LENGTH_DELIMITED:
            length, end = _varint(message, end)
            end += length
        elif wire_type in _FIXED_SIZES:
            end += _FIXED_SIZES[wire_type]
        else:
            _, end = _varint(message, end)
        yield tag >> 3, wire_type, message[position:end]
        position = end


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, position
        shift += 7


def _length_delimited(number: int, content: bytes) -> bytes:
    return _as_varint(number << 3 | _LENGTH_DELIMITED) + _as_varint(len(content)) + content


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def ipc_schema(schema: pa.Schema) -> bytes:
    """The schema as an Arrow IPC message, to be sent to a worker."""
    return bytes(schema.serialize())


def schema_from_ipc(data: bytes) -> Any:
    return pa.ipc.read_schema(pa.py_buffer(data))
