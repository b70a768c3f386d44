"""Files that are broken, forged or meant to hurt: a precise refusal, and the dataset as it was."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.coordinator.ingest.errors import (
    BadInputError,
    DuplicateColumnError,
    IngestError,
    NullInRequiredError,
    TooLargeError,
    TypeMismatchError,
    UnsupportedColumnTypeError,
)
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.service import Coordinator, PushData
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.data import (
    DataField,
    DataSchema,
    DataType,
    DecimalType,
    Int32Type,
    Int64Type,
    ListType,
    OptionType,
    StringType,
    TimestampType,
)
from kamu_assets.odf.dataset import AddPushSource, DatasetKind
from kamu_assets.odf.source import (
    MergeStrategyAppend,
    ReadStep,
    ReadStepCsv,
    ReadStepJson,
    ReadStepNdJson,
    ReadStepParquet,
)
from tests.support.builders import START
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, an_entry, open_heart
from tests.support.poison import Data, made

MIB = 1 << 20


class Hostile(NamedTuple):
    read: ReadStep
    # What is large is made when it is pushed.
    body: Data
    error: type[IngestError]
    words: str


def schema(**types: DataType) -> DataSchema:
    return DataSchema(fields=tuple(DataField(name=name, type=kind) for name, kind in types.items()))


def optional(kind: DataType) -> OptionType:
    return OptionType(inner=kind)


def parquet(**columns: pa.Array) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


CITIES = schema(city=optional(StringType()), population=optional(Int64Type()))
CSV = ReadStepCsv(header=True, schema_=CITIES)
FREE_CSV = ReadStepCsv(header=True)
JSON = ReadStepNdJson(schema_=CITIES)
FREE_JSON = ReadStepNdJson()
PARQUET = ReadStepParquet()
HEAD = b"city,population\n"
GOOD_PARQUET = parquet(a=pa.array(range(10_000)))

CASES = {
    "csv wrong value": Hostile(
        CSV, HEAD + b"a,1\nb,abc\n", TypeMismatchError, 'data, line 3, column `population`: "abc" is not a valid BIGINT'
    ),
    "csv wrong value far down": Hostile(
        CSV, HEAD + b"a,1\n" * 70_000 + b"b,x\n", TypeMismatchError, 'line 70002, column `population`: "x"'
    ),
    "csv wrong value after a quoted line break": Hostile(
        CSV, HEAD + b'"a\nb",1\nc,x\n', TypeMismatchError, "line 4, column `population`"
    ),
    "csv too few fields": Hostile(CSV, HEAD + b"a,1\nb\n", BadInputError, "line 3: expected 2 fields, found 1"),
    "csv too many fields": Hostile(
        CSV, HEAD + b"a,1\n" * 1500 + b"b,2,3\n", BadInputError, "line 1502: expected 2 fields, found 3"
    ),
    "csv line of blanks": Hostile(CSV, HEAD + b"a,1\n   \n", BadInputError, "line 3: expected 2 fields, found 1"),
    "csv unclosed quote": Hostile(
        CSV, HEAD + b'a,1\n"b,2\n' + b"c,3\n" * 100_000, BadInputError, "line 3: unclosed quote"
    ),
    "csv NUL": Hostile(CSV, HEAD + b"a\0b,1\n", BadInputError, "line 2: NUL byte at byte 17"),
    "csv not UTF-8": Hostile(CSV, HEAD + b"caf\xe9,1\n", BadInputError, "line 2: byte 0xe9 at byte 19 is not UTF-8"),
    "csv UTF-16 with mark": Hostile(CSV, "city,population\na,1\n".encode("utf-16"), BadInputError, "UTF-16LE"),
    "csv UTF-16 without mark": Hostile(
        CSV, "city,population\na,1\n".encode("utf-16-be"), BadInputError, "looks like UTF-16BE"
    ),
    "csv cut inside a character": Hostile(CSV, HEAD + "é".encode()[:1], BadInputError, "ends inside a character"),
    "csv same header twice": Hostile(FREE_CSV, b"a,b,a\n1,2,3\n", DuplicateColumnError, "`a`"),
    "csv 200,000 columns": Hostile(
        FREE_CSV, lambda: b",".join(b"c%d" % n for n in range(200_000)) + b"\n", TooLargeError, "200000 columns"
    ),
    "csv field of 40 MB": Hostile(
        CSV, lambda: HEAD + b'"' + b"x" * 40_000_000 + b'",1\n', TooLargeError, "line 2: a field longer"
    ),
    "csv integer that turns into a fraction": Hostile(
        ReadStepCsv(header=True, infer_schema=True),
        b"n\n" + b"1\n" * 1200 + b"12.5\n",
        TypeMismatchError,
        'line 1202, column `n`: "12.5" is not a valid BIGINT',
    ),
    "csv column without values": Hostile(
        ReadStepCsv(header=True, infer_schema=True), b"a,b\n1,\n", UnsupportedColumnTypeError, "declare it"
    ),
    "csv price with thousands": Hostile(
        ReadStepCsv(schema_=schema(price=optional(DecimalType(precision=10, scale=2)))),
        b'12.50\n"1,250.00"\n',
        TypeMismatchError,
        'line 2, column `price`: "1,250.00" is not a valid DECIMAL(10, 2)',
    ),
    "csv required value missing": Hostile(
        ReadStepCsv(schema_=schema(a=Int32Type())), b'1\n""\n', NullInRequiredError, "line 2, column `a`"
    ),
    "csv bad time": Hostile(
        ReadStepCsv(schema_=schema(t=optional(TimestampType()))),
        b"2024-01-01\nsoon\n",
        TypeMismatchError,
        'line 2, column `t`: "soon"',
    ),
    "json wrong value": Hostile(
        JSON, b'{"population": 1}\n{"population": "many"}\n', TypeMismatchError, 'line 2, column `population`: "many"'
    ),
    "json object in a number": Hostile(
        JSON, b'{"population": {"a": 1}}\n', TypeMismatchError, "line 1, column `population`"
    ),
    "json cut off": Hostile(JSON, b'{"population": 1}\n{"popul', BadInputError, "line 2"),
    "json garbage": Hostile(JSON, b'{"population": 1}\n{oops}\n', BadInputError, "line 2, position 2: no JSON"),
    "json array line": Hostile(
        JSON, b'{"population": 1}\n[1]\n', BadInputError, "line 2: a record must be a JSON object"
    ),
    "json not UTF-8": Hostile(JSON, b'{"city": "\xff"}\n', BadInputError, "line 1: byte 0xff at byte 10"),
    "json 100,000 levels": Hostile(JSON, b'{"city":' * 100_000, TooLargeError, "nested deeper than 64 levels"),
    "json 100,000 levels in an unknown key": Hostile(
        JSON, b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", TooLargeError, "line 1: nested deeper"
    ),
    "json 200,000 columns": Hostile(
        FREE_JSON,
        lambda: b"{" + b",".join(b'"c%d":1' % n for n in range(200_000)) + b"}\n",
        TooLargeError,
        "200000 columns",
    ),
    "json field of 40 MB": Hostile(
        JSON, lambda: b'{"city": "' + b"x" * 40_000_000 + b'"}\n', TooLargeError, "line 1: longer than"
    ),
    "json list that is always empty": Hostile(
        FREE_JSON, b'{"items": []}\n{"items": []}\n', UnsupportedColumnTypeError, "column `items` cannot be inferred"
    ),
    "json array 100,000 levels": Hostile(ReadStepJson(), b"[" * 100_000, TooLargeError, "nested deeper"),
    "json array that is none": Hostile(ReadStepJson(), b'{"a": 1}', BadInputError, "expected an array"),
    "json array cut off": Hostile(ReadStepJson(), b'[{"a": 1},\n{"a"', BadInputError, "line 2"),
    "parquet garbage": Hostile(PARQUET, b"PAR1 this is none PAR1", BadInputError, "data: "),
    "parquet empty": Hostile(PARQUET, b"", BadInputError, "data: "),
    "parquet truncated": Hostile(PARQUET, GOOD_PARQUET[:-200], BadInputError, "data: "),
    "parquet forged middle": Hostile(
        PARQUET,
        GOOD_PARQUET[:40] + b"\xff" * 400 + GOOD_PARQUET[440:],
        BadInputError,
        "data, column `a`: cannot be decoded",
    ),
    "parquet forged footer": Hostile(
        PARQUET, GOOD_PARQUET[:-300] + b"\x7f" * 250 + GOOD_PARQUET[-50:], IngestError, "data: "
    ),
    "parquet that is csv": Hostile(PARQUET, HEAD + b"a,1\n", BadInputError, "data: "),
    "parquet dictionary": Hostile(
        PARQUET, parquet(kind=pa.array(["a", "b"]).dictionary_encode()), UnsupportedColumnTypeError, "column `kind`"
    ),
    "parquet map": Hostile(
        PARQUET,
        parquet(m=pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32()))),
        UnsupportedColumnTypeError,
        "column `m`",
    ),
    "parquet text into a number": Hostile(
        ReadStepParquet(schema_=CITIES),
        parquet(population=pa.array(["1"] * 5_000 + ["many"])),
        TypeMismatchError,
        'row 5001, column `population`: "many" is not a valid BIGINT',
    ),
    "list of structs": Hostile(
        ReadStepNdJson(schema_=schema(l=optional(ListType(item_type=optional(StringType()))))),
        b'{"l": [{"a": 1}]}\n',
        TypeMismatchError,
        "line 1, column `l`",
    ),
}


@pytest.fixture(scope="module")
def heart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heart]:
    found = open_heart(tmp_path_factory.mktemp("node"))
    yield found
    found.database.close()


@pytest.fixture(scope="module")
def coordinator(heart: Heart) -> Coordinator:
    return a_coordinator(heart, base=Path())


def a_dataset(heart: Heart, name: str, read: ReadStep) -> DatasetEntry:
    entry = an_entry(name, kind=DatasetKind.ROOT)
    source = AddPushSource(source_name="default", read=read, merge=MergeStrategyAppend())
    heart.committer.create(entry, [source], system_time=START)
    return entry


@pytest.mark.parametrize("name", CASES)
def test_hostile_input_is_refused_precisely(name: str, heart: Heart, coordinator: Coordinator) -> None:
    case = CASES[name]
    entry = a_dataset(heart, f"hostile-{list(CASES).index(name)}", case.read)
    head = heart.chains.head(entry.id)

    with pytest.raises(case.error) as refusal:
        coordinator.push(ADMIN, entry.id, PushData(made(case.body), "data"))

    assert case.words in str(refusal.value)
    assert len(str(refusal.value)) < 1000
    assert heart.chains.head(entry.id) == head
    assert list(heart.volumes.root.staging().iterdir()) == []


FINE: dict[str, tuple[ReadStep, Data, int]] = {
    "byte-order mark": (CSV, b"\xef\xbb\xbf" + HEAD + b"a,1\n", 1),
    "byte-order mark before a quoted header": (FREE_CSV, b'\xef\xbb\xbf"city",population\na,1\n', 1),
    "json byte-order mark": (JSON, b'\xef\xbb\xbf{"population": 1}\n', 1),
    "no line end": (CSV, HEAD + b"a,1", 1),
    "windows line ends": (CSV, HEAD.replace(b"\n", b"\r\n") + b"a,1\r\nb,2", 2),
    "blank lines": (CSV, HEAD + b"a,1\n\nb,2\n\n\n\n", 2),
    "quoted line breaks": (CSV, HEAD + b'"a\n""b"",",1\n' * 5_000, 5_000),
    "a header that ends in a comma": (FREE_CSV, b"a,b,\n1,2,\n", 1),
    "quotes inside of fields": (CSV, HEAD + b'5" pipe,1\n6" pipe,2\n', 2),
    "json line of 12 MB": (
        JSON,
        lambda: b'{"population": 1}\n' * 500 + b'{"city": "' + b"x" * 12_000_000 + b'"}\n' + b'{"population": 2}\n',
        502,
    ),
    "json array of 40 MB in one line": (
        ReadStepJson(schema_=CITIES),
        lambda: b"[" + b",".join([b'{"population": 1}'] * 2_000_000) + b"]",
        2_000_000,
    ),
    "json brackets inside strings": (JSON, b'{"city": "' + b"[{" * 200 + b'"}\n', 1),
    "json with blanks between": (JSON, b'\n\n  {"population": 1}\n\n', 1),
}


@pytest.mark.parametrize("name", FINE)
def test_odd_but_honest_input_is_taken(name: str, heart: Heart, coordinator: Coordinator) -> None:
    read, body, records = FINE[name]
    entry = a_dataset(heart, f"fine-{list(FINE).index(name)}", read)

    assert coordinator.push(ADMIN, entry.id, PushData(made(body), "data")).records == records


def test_limits_are_settings(heart: Heart) -> None:
    entry = a_dataset(heart, "small-limits", CSV)
    coordinator = a_coordinator(heart, base=Path(), limits=IngestLimits(max_columns=1))

    with pytest.raises(TooLargeError, match="2 columns, more than 1"):
        coordinator.push(ADMIN, entry.id, PushData(HEAD))
