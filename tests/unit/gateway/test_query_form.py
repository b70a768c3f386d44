"""Questions in JSON: lenient in spelling, strict in shape."""

import pytest

from kamu_assets.query.formats.schemas import SchemaFormat
from kamu_assets.query.model import DataFormat
from kamu_gateway.edge.errors import TextAnswerError
from kamu_gateway.edge.json_body import parse_json
from kamu_gateway.rest.query_form import Dialect, Include, QueryForm

_FIELDS = "`query`, `queryDialect`, `dataFormat`, `include`, `schemaFormat`, `datasets`, `skip`, `limit`"


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
        (b"{", 400, "EOF while parsing an object at line 1 column 1"),
        (b'{"query":"a"} x', 400, "trailing characters at line 1 column 15"),
        (b'{"query":NaN}', 422, "query: invalid type: floating point `NaN`, expected a string"),
        (b'{"query":"","skip":true}', 422, "skip: invalid type: boolean `true`, expected u64"),
        (b'{"query":"","skip":"1"}', 422, 'skip: invalid type: string "1", expected u64'),
        (b'{"query":"","limit":-1}', 422, "limit: invalid value: integer `-1`, expected u64"),
        (
            b'{"query":"","limit":18446744073709551616}',
            422,
            "limit: invalid value: integer `18446744073709551616`, expected u64",
        ),
        (b'{"query":"","datasets":[{"alias":"a"}]}', 422, "datasets[0]: missing field `id`"),
        (
            b'{"query":"","datasets":[{"id":"a","alias":"a"}]}',
            422,
            "datasets[0].id: 'a' does not start with 'did:odf:'",
        ),
        (b'{"query":"","include":"Input"}', 422, 'include: invalid type: string "Input", expected a sequence'),
        (
            b'{"query":"","include":["All"]}',
            422,
            "include[0]: unknown variant `All`, expected one of `Input`, `Proof`, `Schema`",
        ),
        (b'{"query":"","dataFormat":null}', 422, "dataFormat: invalid type: null, expected a string"),
        (b'{"query":"","schemaFormat":{"a":1}}', 422, "schemaFormat: invalid type: map, expected a string"),
        (b'{"query":"","x":1}', 422, f"x: unknown field `x`, expected one of {_FIELDS}"),
        (b"[]", 422, "invalid type: sequence, expected an object"),
        (b"{}", 422, "missing field `query`"),
    ],
)
def test_another_shape_is_refused_with_its_place(body: bytes, status: int, told: str) -> None:
    with pytest.raises(TextAnswerError) as refusal:
        parse_json(body, QueryForm)

    where = "parse the request body as JSON" if status == 400 else "deserialize the JSON body into the target type"
    assert refusal.value.status == status
    assert refusal.value.text == f"Failed to {where}: {told}"


def test_a_word_of_a_megabyte_is_not_sent_back() -> None:
    with pytest.raises(TextAnswerError) as refusal:
        parse_json(b'{"query":"","dataFormat":"' + b"x" * (1 << 20) + b'"}', QueryForm)

    assert len(refusal.value.text) < 2000
