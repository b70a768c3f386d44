"""Parquet files that hurt: damaged, and forged in ways no library would write."""

import io
import struct
from collections.abc import Mapping, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.coordinator.ingest.errors import BadInputError, TooLargeError, UnsupportedColumnTypeError
from kamu_assets.engines.workers.limits import MemoryLimitError
from kamu_assets.errors import KamuError
from kamu_assets.odf.source import ReadStepParquet
from tests.support.poison import MIB, Data, Poison, content, made_elsewhere
from tests.support.thrift import I32, Listing, Value, struct_of, varint, zigzag

READ = ReadStepParquet()
ROWS = 12_347
_OPTIONAL = 1
# Snappy after the path of column `a`; plain values after the count of a page; what follows the type of column `b`.
_CODEC_OF_A = b"\x01a\x15\x02"
_PAGE = b"\x2c\x15" + varint(zigzag(ROWS)) + b"\x15\x00"
_TYPE_OF_B = b"\x19\x25\x06\x00\x19\x18\x01b"


def refused(file: Data, words: str = "", *, error: type[KamuError] = BadInputError, heavy: bool = False) -> Poison:
    return Poison(READ, content(file), error, words, heavy=heavy)


def written(table: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def forged(schema: "Sequence[Value]", *, rows: int, groups: "Listing | Sequence[Value]" = ()) -> bytes:
    """A file whose footer says this."""
    listed = groups if isinstance(groups, Listing) else Listing(groups)
    return _with_footer(bytes(64), struct_of({1: I32(1), 2: Listing(schema), 3: rows, 4: listed}))


def _with_footer(body: bytes, footer: bytes) -> bytes:
    return b"PAR1" + body + footer + struct.pack("<I", len(footer)) + b"PAR1"


def _element(name: bytes, children: int | None = None) -> "Value":
    if children is None:
        return {1: I32(2), 3: I32(_OPTIONAL), 4: name}
    return {3: I32(_OPTIONAL), 4: name, 5: I32(children)}


def _flat() -> "list[Value]":
    return [_element(b"schema", 1), _element(b"a")]


def _pit(levels: int) -> "list[Value]":
    return [_element(b"schema", 1), *[_element(b"a", 1)] * levels, _element(b"z")]


def _footer_replaced(file: bytes, old: bytes, new: bytes, *, count: int = -1) -> bytes:
    """The file with other numbers in its footer."""
    size = int.from_bytes(file[-8:-4], "little")
    footer = file[-8 - size : -8]
    if old not in footer:
        raise ValueError("nothing to forge")
    return _with_footer(file[4 : -8 - size], footer.replace(old, new, count))


def _number(value: int) -> bytes:
    return varint(zigzag(value))


def _second_page(file: bytes) -> bytes:
    """Where the second column starts, as the footer says it."""
    return _number(pq.read_metadata(io.BytesIO(file)).row_group(0).column(1).data_page_offset)


def _dictionary_bomb(value_bytes: int, rows: int) -> bytes:
    words = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * value_bytes]))
    return written(pa.table({"a": words}), store_schema=False)


def _page_bomb(size: int) -> bytes:
    return written(pa.table({"a": [b"\0" * size]}), compression="zstd", use_dictionary=False, write_statistics=False)


def cases() -> Mapping[str, Poison]:
    """All of them; made only when somebody asks."""
    good = written(pa.table({"a": range(ROWS), "b": [n % 7 for n in range(ROWS)]}), use_dictionary=False)
    offset = _second_page(good)
    rows = b"\x16" + _number(ROWS)
    return {
        "parquet empty": refused(b"", "the file is empty"),
        "parquet garbage": refused(b"PAR1 this is none PAR1"),
        "parquet that is csv": refused(b"a,b\n1,2\n" * 100),
        "parquet encrypted": refused(good[:-4] + b"PARE"),
        "parquet cut off": refused(good[:-200]),
        "parquet without its start": refused(good[500:]),
        "parquet lying footer length": refused(good[:-8] + b"\xff\xff\xff\x7f" + b"PAR1"),
        "parquet negative footer length": refused(good[:-8] + b"\xff\xff\xff\xff" + b"PAR1"),
        "parquet forged footer": refused(good[:-300] + b"\x7f" * 250 + good[-50:]),
        "parquet forged pages": refused(good[:40] + b"\xff" * 4_000 + good[4_040:], "column `a`: cannot be decoded"),
        "parquet zeroed pages": refused(good[:4] + bytes(20_000) + good[20_004:], "column `a`: cannot be decoded"),
        "parquet offset beyond the end": refused(_footer_replaced(good, offset, _number(10**12)), "column `b`"),
        "parquet negative offset": refused(_footer_replaced(good, offset, _number(-5)), ""),
        "parquet wrong offset": refused(_footer_replaced(good, offset, _number(7)), "column `b`"),
        "parquet unknown codec": refused(_footer_replaced(good, _CODEC_OF_A, _CODEC_OF_A[:-1] + b"\x40")),
        "parquet unknown encoding": refused(good.replace(_PAGE, _PAGE[:-1] + b"\x40", 1)),
        # The schema counts, and by it the pages are right.
        "parquet other type than in the schema": Poison(
            READ,
            content(_footer_replaced(good, b"\x15\x04" + _TYPE_OF_B, b"\x15\x0c" + _TYPE_OF_B)),
            None,
            records=ROWS,
        ),
        "parquet billion rows in one group": refused(_footer_replaced(good, rows, b"\x16" + _number(10**9))),
        "parquet billion rows in the file": refused(
            _footer_replaced(good, rows, b"\x16" + _number(10**9), count=1), "1000000000 rows"
        ),
        "parquet billion rows, no group": refused(forged(_flat(), rows=10**9), "1000000000 rows"),
        "parquet fewer rows than values": refused(_footer_replaced(good, rows, b"\x16" + _number(5), count=2)),
        "parquet negative rows": refused(_footer_replaced(good, rows, b"\x16" + _number(-1)), ""),
        "parquet 200,000 empty groups": refused(
            lambda: forged(_flat(), rows=0, groups=[{1: Listing([]), 2: 0, 3: 1}] * 200_000)
        ),
        "parquet two billion groups claimed": refused(forged(_flat(), rows=0, groups=Listing([], claims=2**31 - 1))),
        "parquet two billion children": refused(forged([_element(b"schema", 2**31 - 1), _element(b"a")], rows=0)),
        "parquet minus five children": refused(forged([_element(b"schema", -5), _element(b"a")], rows=0)),
        "parquet 90 levels": refused(forged(_pit(90), rows=0), "nested deeper", error=TooLargeError),
        "parquet 1,000 levels": refused(forged(_pit(1_000), rows=0), "too deeply nested"),
        "parquet 100,000 levels": refused(lambda: forged(_pit(100_000), rows=0), "too deeply nested"),
        "parquet 200,000 columns": refused(
            lambda: forged([_element(b"schema", 200_000), *[_element(b"c%d" % n) for n in range(200_000)]], rows=0),
            "200000 columns",
            error=TooLargeError,
        ),
        "parquet dictionary type": refused(
            written(pa.table({"a": pa.array(["a", "b"]).dictionary_encode()})),
            "column `a`",
            error=UnsupportedColumnTypeError,
        ),
        "parquet map": refused(
            written(pa.table({"m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32()))})),
            "column `m`",
            error=UnsupportedColumnTypeError,
        ),
        "parquet dictionary bomb": Poison(
            READ,
            made_elsewhere(partial(_dictionary_bomb, MIB, 100_000)),
            MemoryLimitError,
            "engine.memory_limit",
            heavy=True,
        ),
        "parquet page bomb": Poison(
            READ, made_elsewhere(partial(_page_bomb, 256 * MIB)), MemoryLimitError, "engine.memory_limit", heavy=True
        ),
    }
