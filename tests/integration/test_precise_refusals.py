"""What a refusal tells: file, line or row, column, value, expected type and what to do; and that nothing was stored."""

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.coordinator.ingest.errors import IngestError, NullInRequiredError, SqlRuntimeError, TypeMismatchError
from kamu_assets.odf.data import (
    BoolType,
    DataField,
    DataSchema,
    DataType,
    DateType,
    DecimalType,
    Float64Type,
    Int64Type,
    StringType,
    TimestampType,
)
from kamu_assets.odf.source import (
    ReadStepCsv,
    ReadStepEsriShapefile,
    ReadStepGeoJson,
    ReadStepJson,
    ReadStepNdGeoJson,
    ReadStepNdJson,
    ReadStepParquet,
)
from tests.support.pushed import NewRoot, columns
from tests.support.shapefiles import Writer, layer, zipped

ADVICE = "declare the column as STRING and convert it in a preprocess query"
# A value that is wrong for a type, a right one, and what the type is called.
VALUES: dict[str, tuple[DataType, str, str]] = {
    "BIGINT": (Int64Type(), "12x", "12"),
    "DOUBLE": (Float64Type(), "1.2.3", "1.5"),
    "BOOLEAN": (BoolType(), "perhaps", "true"),
    "DATE": (DateType(), "2024-02-30", "2024-02-29"),
    "TIMESTAMP": (TimestampType(), "soon", "2024-01-01T00:00:00Z"),
    "DECIMAL(10, 2)": (DecimalType(precision=10, scale=2), "1.250,00", "1.25"),
}
FEATURE = '{"type": "Feature", "properties": {"v": %s}, "geometry": null}'


def json_of(kind: str, text: str) -> str:
    return text if kind == "BOOLEAN" and text == "true" else f'"{text}"'


def shapefile_of(good: str, bad: str) -> bytes:
    def draw(writer: Writer) -> None:
        writer.field("v", "C", 30)
        for value in (good, bad):
            writer.null()
            writer.record(value)

    return zipped(layer(draw))


def parquet_of(good: str, bad: str) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"v": [good] * 5_000 + [bad]}), file)
    return file.getvalue()


FORMATS: dict[str, tuple[type[Any], Callable[[str, str, str], bytes], str]] = {
    "Csv": (ReadStepCsv, lambda _, good, bad: f'v\n{good}\n"{bad}"\n'.encode(), "line 3"),
    "NdJson": (
        ReadStepNdJson,
        lambda kind, good, bad: f'{{"v": {json_of(kind, good)}}}\n{{"v": "{bad}"}}\n'.encode(),
        "line 2",
    ),
    "Json": (
        ReadStepJson,
        lambda kind, good, bad: f'[{{"v": {json_of(kind, good)}}}, {{"v": "{bad}"}}]'.encode(),
        "record 2",
    ),
    "GeoJson": (
        ReadStepGeoJson,
        lambda kind, good, bad: (
            f'{{"type": "FeatureCollection", "features": '
            f"[{FEATURE % json_of(kind, good)}, {FEATURE % json_of('', bad)}]}}".encode()
        ),
        "feature 2",
    ),
    "NdGeoJson": (
        ReadStepNdGeoJson,
        lambda kind, good, bad: f"{FEATURE % json_of(kind, good)}\n{FEATURE % json_of('', bad)}\n".encode(),
        "feature 2",
    ),
    "EsriShapefile": (ReadStepEsriShapefile, lambda _, good, bad: shapefile_of(good, bad), "record 2"),
    "Parquet": (ReadStepParquet, lambda _, good, bad: parquet_of(good, bad), "row 5001"),
}


# Attributes of shapefiles that are text are no booleans, whatever the text.
PAIRS = [(format_, kind) for format_ in FORMATS for kind in VALUES if (format_, kind) != ("EsriShapefile", "BOOLEAN")]


@pytest.mark.parametrize(("format_", "kind"), PAIRS)
def test_one_wrong_value_is_told_with_all_that_is_known(format_: str, kind: str, root: NewRoot) -> None:  # CS-27
    reader, write, place = FORMATS[format_]
    type_, bad, good = VALUES[kind]
    options = {"header": True} if reader is ReadStepCsv else {}
    dataset = root(reader(schema_=columns(v=type_), **options))

    with pytest.raises(TypeMismatchError) as refusal:
        dataset.push(write(kind, good, bad), "prices.txt")

    wanted = f'prices.txt, {place}, column `v`: "{bad}" is not a valid {kind}; correct it, or {ADVICE}'
    assert str(refusal.value) == wanted


@pytest.mark.parametrize(
    ("read", "text", "place"),
    [
        (ReadStepCsv, b'1\n""\n', "line 2"),
        (ReadStepNdJson, b'{"v": 1}\n{}\n', "line 2"),
        (ReadStepJson, b'[{"v": 1}, {"v": null}]', "record 2"),
        (ReadStepNdGeoJson, (f"{FEATURE % 1}\n{FEATURE % 'null'}\n").encode(), "feature 2"),
    ],
)
def test_a_missing_value_is_told_with_its_place(
    read: type[Any], text: bytes, place: str, root: NewRoot
) -> None:  # CS-27
    dataset = root(read(schema_=DataSchema(fields=(DataField(name="v", type=Int64Type()),))))

    with pytest.raises(NullInRequiredError) as refusal:
        dataset.push(text, "prices.txt")

    assert f"prices.txt, {place}, column `v`: there is no value, but the column is required" in str(refusal.value)
    assert "let the schema of the read step allow nulls" in str(refusal.value)


def test_a_missing_value_in_parquet_is_told_with_its_row(root: NewRoot) -> None:  # CS-27
    file = io.BytesIO()
    pq.write_table(pa.table({"v": [1] * 3_000 + [None]}), file)
    dataset = root(ReadStepParquet(schema_=DataSchema(fields=(DataField(name="v", type=Int64Type()),))))

    with pytest.raises(NullInRequiredError, match="data, row 3001, column `v`"):
        dataset.push(file.getvalue())


def test_a_query_is_blamed_with_the_row_it_fails_on(root: NewRoot) -> None:  # CS-27
    query = "SELECT k, CAST(v AS BIGINT) AS v FROM input"
    dataset = root(ReadStepCsv(header=True), query=query)

    with pytest.raises(SqlRuntimeError) as refusal:
        dataset.push(b"k,v\n" + b"a,1\n" * 3_000 + b"b,12x\n", "prices.csv")

    message = str(refusal.value)
    assert message.startswith("prices.csv, row 3001: preprocess query: ")
    assert '`k` = "b", `v` = "12x"; correct it, or let the query tolerate it' in message


def test_a_query_that_fails_on_all_rows_together_is_blamed_itself(root: NewRoot) -> None:
    query = "SELECT CAST(sum(CAST(v AS BIGINT)) AS TINYINT) AS v FROM input"

    with pytest.raises(SqlRuntimeError, match=r"^data: preprocess query: "):
        root(ReadStepCsv(header=True), query=query).push(b"v\n" + b"100\n" * 2)


@pytest.mark.parametrize("column", ["event_time", "other"])
@pytest.mark.parametrize("declared", [False, True])
def test_a_time_beyond_the_calendar_is_told_with_its_row(root: NewRoot, column: str, declared: object) -> None:
    file = io.BytesIO()
    times = pa.array([0] * 3_000 + [1 << 62], pa.timestamp("ms"))
    pq.write_table(pa.table({column: times, "v": range(3_001)}), file)
    schema = DataSchema(fields=(DataField(name=column, type=TimestampType()),)) if declared else None

    with pytest.raises(TypeMismatchError, match=f"data, row 3001, column `{column}`: .?4611686018427387904"):
        root(ReadStepParquet(schema_=schema)).push(file.getvalue())


def test_an_event_time_that_is_none_is_told_with_its_row(root: NewRoot) -> None:  # CS-27
    """Without a schema, event time is made of text; text that is no time must not become null."""
    with pytest.raises(TypeMismatchError, match='data, row 3, column `event_time`: "soon" is not a valid TIMESTAMP'):
        root(ReadStepCsv(header=True)).push(b"event_time,v\n2024-01-01,1\n2024-01-02,2\nsoon,3\n")


def fifty_thousand(format_: str) -> bytes:
    values = ["1"] * 49_998 + ["x", "1"]
    match format_:
        case "Csv":
            return ("v\n" + "\n".join(values)).encode()
        case "NdJson":
            return "".join(f'{{"v": "{value}"}}\n' for value in values).encode()
        case _:
            file = io.BytesIO()
            pq.write_table(pa.table({"v": values}), file)
            return file.getvalue()


@pytest.mark.parametrize(
    ("read", "place"), [(ReadStepCsv, "line 50000"), (ReadStepNdJson, "line 49999"), (ReadStepParquet, "row 49999")]
)
def test_a_push_is_stored_whole_or_not_at_all(read: type[Any], place: str, root: NewRoot) -> None:  # VC-05
    options = {"header": True} if read is ReadStepCsv else {}
    dataset = root(read(schema_=columns(v=Int64Type()), **options))
    head = dataset.heart.chains.head(dataset.entry.id)

    with pytest.raises(IngestError, match=f'{place}, column `v`: "x"'):
        dataset.push(fifty_thousand(read.__name__.removeprefix("ReadStep")))

    assert dataset.heart.chains.head(dataset.entry.id) == head
    assert list(dataset.heart.volumes.root.staging().iterdir()) == []


def test_a_number_for_text_comes_with_other_advice(root: NewRoot) -> None:
    dataset = root(ReadStepNdJson(schema_=columns(v=StringType())))

    with pytest.raises(TypeMismatchError, match="declare the column with the type that its values have"):
        dataset.push(b'{"v": 1}\n')
