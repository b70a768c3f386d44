"""Options of read steps: both ways to spell a schema, what each option may be, and what it does."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.coordinator.ingest.errors import IngestError, UnsupportedOptionError, UnsupportedSchemaError
from kamu_assets.odf.data import Float64Type, Int64Type, StringType
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

DDL = ("n BIGINT", "s STRING", "f DOUBLE")
SCHEMA = columns(n=Int64Type(), s=StringType(), f=Float64Type())
ROW = '{"f": 1.5, "more": [true], "n": 7, "s": "x"}'
FEATURE = f'{{"type": "Feature", "properties": {ROW}, "geometry": null}}'


def _parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"more": [True], "s": ["x"], "n": pa.array([7], pa.int8()), "f": ["1.5"]}), file)
    return file.getvalue()


def _layer(writer: Writer) -> None:
    writer.field("f", "N", 12, 3)
    writer.field("n", "N", 12, 0)
    writer.field("s", "C", 10)
    writer.null()
    writer.record(1.5, 7, "x")


READERS: dict[type[Any], bytes] = {
    ReadStepCsv: b'7,x,"1.5"\n',
    ReadStepJson: f"[{ROW}]".encode(),
    ReadStepNdJson: ROW.encode(),
    ReadStepGeoJson: f'{{"type": "FeatureCollection", "features": [{FEATURE}]}}'.encode(),
    ReadStepNdGeoJson: FEATURE.encode(),
    ReadStepEsriShapefile: zipped(layer(_layer)),
    ReadStepParquet: _parquet(),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("schema", [{"ddl_schema": DDL}, {"schema_": SCHEMA}], ids=["ddl", "odf"])
def test_a_schema_may_be_spelled_in_two_ways(reader: type[Any], schema: dict[str, Any], root: NewRoot) -> None:
    dataset = root(reader(**schema))

    dataset.push(READERS[reader])

    assert dataset.rows() == [{"n": 7, "s": "x", "f": 1.5}]
    assert dataset.columns() == {"n": "int64", "s": "string", "f": "double"}


@pytest.mark.parametrize("reader", READERS)
def test_ddl_that_is_none_is_refused_by_its_column(reader: type[Any], root: NewRoot) -> None:
    with pytest.raises(UnsupportedSchemaError, match=rf"schema of the {reader.__name__[8:]} reader: .*SMALLINT"):
        root(reader(ddl_schema=("n SMALLINT",))).push(READERS[reader])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"separator": ";"}, b"7;x;1.5\n"),
        ({"separator": "\t"}, b"7\tx\t1.5\n"),
        ({"quote": "'"}, b"'7','x','1.5'\n"),
        ({"escape": "~"}, b'7,"x",1.5\n'),
        ({"header": True}, b"any,other,names\n7,x,1.5\n"),
        ({"header": False}, b"7,x,1.5\n"),
        ({"encoding": "utf8"}, b"7,x,1.5\n"),
        ({"null_value": ""}, b"7,x,1.5\n"),
        ({"date_format": "rfc3339", "timestamp_format": "rfc3339"}, b"7,x,1.5\n"),
        # A schema is stronger than a guess.
        ({"infer_schema": True}, b"7,x,1.5\n"),
    ],
)
def test_csv_is_read_by_its_options(options: dict[str, Any], text: bytes, root: NewRoot) -> None:
    dataset = root(ReadStepCsv(schema_=SCHEMA, **options))

    dataset.push(text)

    assert dataset.rows() == [{"n": 7, "s": "x", "f": 1.5}]


TIMES = ("date_format", "timestamp_format")
REFUSED = [
    *[(ReadStepCsv, {option: "||"}) for option in ("separator", "quote", "escape")],
    *[(ReadStepCsv, {option: "é"}) for option in ("separator", "quote", "escape")],
    (ReadStepCsv, {"null_value": "NULL"}),
    *[(reader, {"encoding": "latin1"}) for reader in (ReadStepCsv, ReadStepJson, ReadStepNdJson)],
    *[(reader, {option: "%Y"}) for reader in (ReadStepCsv, ReadStepJson, ReadStepNdJson) for option in TIMES],
]


@pytest.mark.parametrize(("reader", "options"), REFUSED)
def test_what_an_option_cannot_be_is_refused_by_its_name(
    reader: type[Any], options: dict[str, Any], root: NewRoot
) -> None:
    (option,) = options
    name = "".join(part.title() if place else part for place, part in enumerate(option.split("_")))

    with pytest.raises(UnsupportedOptionError, match=rf"{reader.__name__[8:]}\.{name}"):
        root(reader(**options)).push(READERS[reader])


def test_records_of_an_array_are_found_below_a_path(root: NewRoot) -> None:
    dataset = root(ReadStepJson(sub_path="a.b", schema_=SCHEMA))

    dataset.push(f'{{"x": [[1]], "a": {{"b": [{ROW}]}}}}'.encode())

    assert len(dataset.rows()) == 1


def test_a_layer_is_chosen_by_its_path(root: NewRoot) -> None:
    two = zipped({**layer(_layer, stem="x/a"), **layer(_layer, stem="y/b")})
    dataset = root(ReadStepEsriShapefile(sub_path="y/*", schema_=SCHEMA))

    dataset.push(two)

    assert len(dataset.rows()) == 1
    with pytest.raises(IngestError, match=r"choose one with `subPath`: x/a\.shp, y/b\.shp"):
        root(ReadStepEsriShapefile(schema_=SCHEMA)).push(two)
