"""How the logical hash sees values: type tags, and columns as one stream of encoded items (arrow-digest V0).

Rows never pass through Python. Arrow builds a binary array whose elements are the encoded items; its data buffer is
the stream to hash. The elements of a list, encoded this way, need only new offsets to become the content of the list.
"""

import struct
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from kamu_assets.odf.data import UnsupportedTypeError

if TYPE_CHECKING:
    from hashlib import _Hash

Validity = npt.NDArray[np.bool_] | None
"""Which items are there; None if all are."""

# Bounds the memory of encoded items; smaller pieces are slower.
_PIECE_ROWS: Final = 1 << 18
_NULL: Final = b"\0"
_UNITS: Final = {"s": 0, "ms": 1, "us": 2, "ns": 3}


def storage_type(data_type: pa.DataType) -> pa.DataType:
    """What an extension type is made of: the extension is metadata, which is not hashed."""
    return data_type.storage_type if isinstance(data_type, pa.BaseExtensionType) else data_type


def type_tag(data_type: pa.DataType, path: str) -> bytes:  # noqa: PLR0911 - one line for each family of types
    """The bytes that open the stream of a leaf column; `path` is how an error names the column."""
    data_type = storage_type(data_type)
    if _is_list(data_type):
        return struct.pack("<H", 11) + type_tag(data_type.value_type, path)
    if _is_string(data_type):
        return struct.pack("<H", 4)
    if _is_binary(data_type):
        return struct.pack("<H", 3)
    if pt.is_boolean(data_type):
        return struct.pack("<H", 5)
    if pt.is_integer(data_type):
        return struct.pack("<HBQ", 1, pt.is_signed_integer(data_type), data_type.bit_width)
    if pt.is_floating(data_type):
        return struct.pack("<HQ", 2, data_type.bit_width)
    if pt.is_decimal(data_type):
        return struct.pack("<HQQq", 6, data_type.bit_width, data_type.precision, data_type.scale)
    return _temporal_tag(data_type, path)


def _temporal_tag(data_type: pa.DataType, path: str) -> bytes:
    if pt.is_date(data_type):
        return struct.pack("<HQH", 7, data_type.bit_width, pt.is_date64(data_type))
    if pt.is_time(data_type):
        return struct.pack("<HQH", 8, data_type.bit_width, _UNITS[data_type.unit])
    if pt.is_timestamp(data_type):
        zone = (data_type.tz or "").encode()
        return struct.pack("<HH", 9, _UNITS[data_type.unit]) + (struct.pack("<Q", len(zone)) + zone if zone else b"\0")
    reason = "a list of structs has no logical hash" if pt.is_struct(data_type) else "it has no logical hash"
    raise UnsupportedTypeError(path, str(data_type), reason=reason)


def combine_validity(parent: Validity, array: pa.Array) -> Validity:
    """Which items of a struct's child count as there.

    Upstream's rule, which all published hashes rely on: if both sides have nulls, an item is null only where both are
    (one would expect: where either is), and a parent that lost all its nulls that way hides the child's. What lies in
    memory at a null is hashed then, and readers of one file leave different bytes there: such data must be hashed as
    the reader of upstream (arrow-rs) gives it, not as it was before it was written.
    """
    own = pc.is_valid(array).to_numpy(zero_copy_only=False) if array.null_count else None
    if parent is None or own is None:
        return own if parent is None else parent
    return None if parent.all() else parent | own


def with_validity(array: pa.Array, validity: Validity) -> pa.Array:
    """The values of `array` with other nulls."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    bitmap = None
    if validity is not None:
        aligned = np.concatenate([np.zeros(array.offset, np.bool_), validity])
        bitmap = pa.py_buffer(np.packbits(aligned, bitorder="little"))
    children = [array.values] if _is_list(array.type) else None
    own_buffers = len(array.buffers()) - (len(array.values.buffers()) if children else 0)
    buffers = [bitmap, *array.buffers()[1:own_buffers]]
    return pa.Array.from_buffers(array.type, len(array), buffers, offset=array.offset, children=children)


def update_hasher(hasher: "_Hash", array: pa.Array) -> None:
    """Hash the items of `array`."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if _is_fixed_width(array.type) and array.null_count == 0:
        hasher.update(_fixed_bytes(array))
        return
    for start in range(0, len(array), _PIECE_ROWS):
        hasher.update(_stream(array.slice(start, _PIECE_ROWS)))


def _stream(array: pa.Array) -> memoryview:
    if pt.is_boolean(array.type):
        return _bool_bytes(array)
    items = _items(array)
    start, end = _offsets(items)[[0, -1]]
    return _bytes_of(items.buffers()[2])[start:end]


def _items(array: pa.Array) -> pa.Array:
    """A binary array without nulls: every element an encoded item of `array`."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pt.is_boolean(array.type):
        return _fixed_items(_bool_bytes(array), len(array), width=1)
    if _is_fixed_width(array.type):
        return _fixed_width_items(array)
    if _is_list(array.type):
        return _list_items(array)
    contents = array.cast(pa.large_binary())
    lengths = np.diff(_offsets(contents))
    if array.null_count == 0 and lengths.any() and (lengths == lengths[0]).all():
        return _evenly_prefixed(contents, int(lengths[0]))
    return _prefixed(contents, lengths)


def _bool_bytes(array: pa.Array) -> memoryview:
    return _fixed_bytes(pc.fill_null(pc.add(array.cast(pa.uint8()), pa.scalar(1, pa.uint8())), 0))


def _fixed_bytes(array: pa.Array) -> memoryview:
    width = array.type.bit_width // 8
    return _bytes_of(array.buffers()[1])[array.offset * width : (array.offset + len(array)) * width]


def _fixed_items(content: memoryview, count: int, *, width: int) -> pa.Array:
    offsets = np.arange(count + 1, dtype=np.int64) * width
    return pa.Array.from_buffers(pa.large_binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(content)])


def _fixed_width_items(array: pa.Array) -> pa.Array:
    width = array.type.bit_width // 8
    if array.null_count == 0:
        return _fixed_items(_fixed_bytes(array), len(array), width=width)
    plain = pa.Array.from_buffers(pa.binary(width), len(array), array.buffers(), offset=array.offset)
    return pc.fill_null(plain.cast(pa.large_binary()), _NULL)


def _list_items(array: pa.Array) -> pa.Array:
    """The encoded elements of a list already lie side by side: cut their stream anew, one cut per list."""
    elements = _items(array.flatten())
    counts = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    cuts = _offsets(elements)[np.concatenate([[0], np.cumsum(counts)])]
    valid = pc.is_valid(array).to_numpy(zero_copy_only=False)
    buffers = [pa.py_buffer(np.packbits(valid, bitorder="little")), pa.py_buffer(cuts), elements.buffers()[2]]
    return _prefixed(pa.Array.from_buffers(pa.large_binary(), len(array), buffers), counts)


def _prefixed(contents: pa.Array, lengths: npt.NDArray[np.int64]) -> pa.Array:
    prefix_bytes = pa.py_buffer(lengths.astype("<u8"))
    prefixes = pa.Array.from_buffers(pa.binary(8), len(contents), [None, prefix_bytes]).cast(pa.large_binary())
    items = pc.binary_join_element_wise(prefixes, contents, pa.scalar(b"", pa.large_binary()))
    return pc.fill_null(items, _NULL) if items.null_count else items


def _evenly_prefixed(contents: pa.Array, length: int) -> pa.Array:
    """Codes, hashes and dates are often all of one length: then filling a table is faster than joining."""
    start = int(_offsets(contents)[0])
    values = np.frombuffer(contents.buffers()[2], dtype=f"V{length}", count=len(contents), offset=start)
    items = np.empty(len(contents), dtype=[("length", "<u8"), ("value", f"V{length}")])
    items["length"] = length
    items["value"] = values
    return _fixed_items(items.view(np.uint8).data, len(contents), width=8 + length)


def _offsets(binary: pa.Array) -> npt.NDArray[np.int64]:
    offsets = np.frombuffer(binary.buffers()[1], dtype=np.int64)
    return offsets[binary.offset : binary.offset + len(binary) + 1]


def _bytes_of(buffer: pa.Buffer | None) -> memoryview:
    return memoryview(b"" if buffer is None else buffer)


def _is_list(data_type: pa.DataType) -> bool:
    return bool(pt.is_list(data_type) or pt.is_large_list(data_type) or pt.is_fixed_size_list(data_type))


def _is_string(data_type: pa.DataType) -> bool:
    return bool(pt.is_string(data_type) or pt.is_large_string(data_type) or pt.is_string_view(data_type))


def _is_binary(data_type: pa.DataType) -> bool:
    variable = pt.is_binary(data_type) or pt.is_large_binary(data_type) or pt.is_binary_view(data_type)
    return bool(variable or pt.is_fixed_size_binary(data_type))


def _is_fixed_width(data_type: pa.DataType) -> bool:
    return not (_is_list(data_type) or _is_string(data_type) or _is_binary(data_type) or pt.is_boolean(data_type))
