"""One number per row that tells keys apart, nearly always: equal keys have equal numbers, the rest is compared.

A single column of at most 64 bits is its own number, in the order of its values; then nothing is left to compare.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

Hashes = npt.NDArray[np.uint64]

_NULL: Final = np.uint64(0x6E756C6C6E756C6C)
_SIGN: Final = np.uint64(1 << 63)
_WORD: Final = 8
# Texts beyond that are rare: their rest is hashed one by one.
_VECTOR_BYTES: Final = 256


def tells_all(types: Sequence[pa.DataType]) -> bool:
    """Whether different keys without nulls never share a number."""
    return len(types) == 1 and _is_small(types[0]) and not pt.is_floating(types[0])


def key_hashes(columns: Sequence[pa.Array], seed: int) -> Hashes:
    """A number per row. `seed` is secret, lest somebody make keys that collide."""
    if tells_all([column.type for column in columns]):
        numbers = _small(columns[0]) ^ _SIGN
        return _with_nulls(numbers, columns[0], np.full_like(numbers, _NULL))
    hashes = np.full(len(columns[0]), seed, np.uint64)
    for column in columns:
        hashes = _with_nulls(_extended(hashes, column), column, _mixed(hashes ^ _NULL))
    return hashes


def integers(column: pa.Array) -> pa.Array:
    """The bits of a fixed-width column of at most 64 bits as integers; nulls stay."""
    kind = column.type
    if pt.is_boolean(kind):
        return column.cast(pa.uint8())
    if pt.is_floating(kind):
        return _float_bits(column)
    return column.view({8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[kind.bit_width])


def _float_bits(column: pa.Array) -> pa.Array:
    """Bits decide, except that both zeros are one number (as the SQL engine compares)."""
    width = column.type.bit_width
    kind = {16: np.float16, 32: np.float32, 64: np.float64}[width]
    values = np.frombuffer(column.buffers()[1] or b"", kind)[column.offset : column.offset + len(column)]
    bits = (values + kind(0)).view(f"int{width}")
    return pa.array(bits, mask=_null_mask(column) if column.null_count else None)


def _extended(hashes: Hashes, column: pa.Array) -> Hashes:
    kind = column.type
    if _is_small(kind):
        return _mixed(hashes ^ _small(column))
    if pt.is_decimal(kind):
        return _with_words(hashes, column, kind.bit_width // 64)
    return _with_text(hashes, _as_text(column))


def _is_small(kind: pa.DataType) -> bool:
    if pt.is_boolean(kind):
        return True
    return bool(pt.is_primitive(kind) and not pt.is_null(kind) and kind.bit_width <= 64)  # noqa: PLR2004 - a word


def _small(column: pa.Array) -> Hashes:
    numbers = integers(column)
    if numbers.null_count:
        numbers = pc.fill_null(numbers, 0)
    found: Hashes = numbers.to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64)
    return found


def _with_words(hashes: Hashes, column: pa.Array, words: int) -> Hashes:
    values = np.frombuffer(column.buffers()[1], np.uint64).reshape(-1, words)
    for word in range(words):
        hashes = _mixed(hashes ^ values[column.offset : column.offset + len(column), word])
    return hashes


def _as_text(column: pa.Array) -> pa.Array:
    kind = column.type
    if pt.is_nested(kind):
        return pa.array([repr(value).encode() for value in column.to_pylist()], pa.large_binary())
    return pc.fill_null(column.cast(pa.large_binary()), b"")


def _with_text(hashes: Hashes, column: pa.Array) -> Hashes:
    ends = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
    starts, lengths = ends[:-1], np.diff(ends)
    hashes = _mixed(hashes ^ lengths.view(np.uint64))
    longest = int(lengths.max(initial=0))
    if longest:
        words = _words_anywhere(column.buffers()[2])
        for done in range(0, min(longest, _VECTOR_BYTES), _WORD):
            rows = np.flatnonzero(lengths > done)
            found = words[starts[rows] + done]
            found &= _kept_bytes(lengths[rows] - done)
            hashes[rows] = _mixed(hashes[rows] ^ found)
    for row in np.flatnonzero(lengths > _VECTOR_BYTES):
        rest = column[int(row)].as_py()[_VECTOR_BYTES:]
        digest = blake2b(rest, digest_size=_WORD, key=hashes[row].tobytes()).digest()
        hashes[row] = np.frombuffer(digest, np.uint64)[0]
    return hashes


def _words_anywhere(data: pa.Buffer) -> Hashes:
    """Eight bytes from any position on."""
    padded = np.frombuffer(bytes(data) + bytes(_WORD), np.uint8)
    return np.ndarray((data.size,), np.uint64, buffer=padded, strides=(1,))


def _kept_bytes(left: npt.NDArray[np.int64]) -> Hashes:
    """A mask for the bytes of a word that belong to the value."""
    unused = np.uint64(64) - np.uint64(8) * np.minimum(left, _WORD).astype(np.uint64)
    return np.uint64(0xFFFFFFFFFFFFFFFF) >> unused


def _mixed(words: Hashes) -> Hashes:
    """Every bit of the input reaches every bit of the output (the finalizer of splitmix64)."""
    words = words ^ (words >> np.uint64(30))
    words = words * np.uint64(0xBF58476D1CE4E5B9)
    words = words ^ (words >> np.uint64(27))
    words = words * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _with_nulls(hashes: Hashes, column: pa.Array, nulls: Hashes) -> Hashes:
    return np.where(_null_mask(column), nulls, hashes) if column.null_count else hashes


def _null_mask(column: pa.Array) -> Any:
    return column.is_null().to_numpy(zero_copy_only=False)
