"""Questions in JSON: lenient in spelling, strict in shape."""

import pytest

from kamu_assets.query.model import DataFormat
from kamu_assets.query.schema_formats import SchemaFormat
from kamu_gateway.edge.errors import TextAnswerError
from kamu_gateway.edge.json_body import parse_json
from kamu_gateway.rest.query_form import Dialect, Include, QueryForm


def test_defaults_are_filled_in() -> None:
    form = parse_json(b'{"query":"select 1"}', QueryForm)

    assert form == QueryForm(query="select 1")
    assert (form.query_dialect, form.data_format) == (Dialect.SQL_DATA_FUSION, DataFormat.JSON_AOS)
    assert (form.skip, form.limit, form.include, form.datasets) == (0, None, (), None)


@pytest.mark.parametrize("text", ["JsonSoA", "JsonSoa", "json-soa", "jsonsoa"])
def test_formats_are_read_in_all_spellings(text: str) -> None:
    assert parse_json(f'{{"query":"","dataFormat":"{text}"}}'.encode(), QueryForm).data_format is DataFormat.JSON_SOA


@pytest.mark.parametrize("text", ["SqlSpark", "sql-spark", "sqlspark"])
def test_dialects_are_checked_for_their_spelling_only(text: str) -> None:
    assert parse_json(f'{{"query":"","queryDialect":"{text}"}}'.encode(), QueryForm).query_dialect is Dialect.SQL_SPARK


def test_includes_are_read_in_any_case() -> None:
    form = parse_json(b'{"query":"","include":["input","PROOF"],"schemaFormat":"odf-json"}', QueryForm)

    assert form.include == (Include.INPUT, Include.PROOF)
    assert form.schema_format is SchemaFormat.ODF_JSON


@pytest.mark.parametrize(
    ("body", "include", "schema_format"),
    [
        (b'{"query":""}', (), None),
        (b'{"query":"","include":["proof"]}', (Include.INPUT, Include.PROOF), None),
        (
            b'{"query":"","include":["schema","input","schema"]}',
            (Include.INPUT, Include.SCHEMA),
            SchemaFormat.ARROW_JSON,
        ),
        (b'{"query":"","schemaFormat":"Parquet"}', (Include.SCHEMA,), SchemaFormat.PARQUET),
    ],
)
def test_what_is_implied_is_said(body: bytes, include: tuple[Include, ...], schema_format: SchemaFormat | None) -> None:
    form = parse_json(body, QueryForm).filled()

    assert (form.include, form.schema_format) == (include, schema_format)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"{", 400, "JSON"),
        (b'{"query":"a"} x', 400, "JSON"),
        (b'{"query":NaN}', 422, "query"),
        (b'{"query":"","skip":true}', 422, "skip"),
        (b'{"query":"","limit":18446744073709551616}', 422, "limit"),
        (b'{"query":"","datasets":[{"alias":"a"}]}', 422, "datasets.0.id"),
        (b'{"query":"","datasets":[{"id":"a","alias":"a"}]}', 422, "datasets.0.id"),
        (b'{"query":"","include":"Input"}', 422, "include"),
        (b'{"query":"","x":1}', 422, "x"),
    ],
)
def test_another_shape_is_refused_with_its_place(body: bytes, status: int, told: str) -> None:
    with pytest.raises(TextAnswerError) as refusal:
        parse_json(body, QueryForm)

    assert refusal.value.status == status
    assert told in refusal.value.text
