import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.odf.data import (
    DataField,
    DataSchema,
    DataType,
    DateType,
    DecimalType,
    Int32Type,
    ListType,
    OptionType,
    StringType,
)
from kamu_assets.odf.ddl import ACCEPTED_TYPES, DdlError, parse_ddl
from tests.support.reference import reference_folder
from tests.unit.odf.vectors import cases


def type_of(column: str) -> DataType:
    (field,) = parse_ddl([column]).fields
    return field.type


@pytest.mark.parametrize("case", cases("ddl_schema"))
def test_definitions_are_read_as_upstream_reads_them(case: dict[str, Any]) -> None:
    if "error" in case["expected"]:
        with pytest.raises(DdlError, match="column `a` of the DDL schema"):
            parse_ddl(case["ddlSchema"])
    else:
        assert parse_ddl(case["ddlSchema"]) == DataSchema.model_validate(case["expected"]["schema"])


@pytest.mark.parametrize("scenario", ["ddl-all-types", "ddl-case-types"])
def test_recorded_datasets_have_the_schema_of_their_ddl(scenario: str) -> None:
    events = recorded_events(scenario)
    ddl = events["SetPollingSource"]["read"]["ddlSchema"]
    committed = DataSchema.model_validate(events["SetDataSchema"]["schema"])

    # The first four are the system columns.
    assert parse_ddl(ddl).fields == committed.fields[4:]


@pytest.mark.parametrize(
    ("scenario", "problem"),
    [
        ("neg-ddl-binary", "type BINARY is not supported"),
        ("neg-ddl-char-3", "type CHAR is not supported"),
        ("neg-ddl-int-primary-key", "unexpected PRIMARY after the type; only NOT NULL may follow"),
        ("neg-ddl-real", "type REAL is not supported"),
        ("neg-ddl-smallint", "type SMALLINT is not supported"),
        ("neg-ddl-struct-x-int", "type STRUCT is not supported"),
        ("neg-ddl-syntax", "unexpected INT after the type"),
    ],
)
def test_recorded_refusals_are_refused(scenario: str, problem: str) -> None:
    ddl = recorded_events(scenario)["SetPollingSource"]["read"]["ddlSchema"]

    with pytest.raises(DdlError, match=f"column `a` of the DDL schema: {problem}"):
        parse_ddl(ddl)


def recorded_events(scenario: str) -> dict[str, Any]:
    path = reference_folder() / "odf" / "recorded" / scenario / "expected.json"
    blocks = json.loads(path.read_text())["blocks"]
    return {block["block"]["event"]["kind"]: block["block"]["event"] for block in blocks}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("a date", DateType()),
        ("a DATE NOT NULL", DateType()),
        ("a decimal(5,2)", DecimalType(precision=5, scale=2)),
        ("a Int(11) Not Null", Int32Type()),
        (
            "a ARRAY<ARRAY<INT>> NOT NULL",
            ListType(item_type=OptionType(inner=ListType(item_type=OptionType(inner=Int32Type())))),
        ),
        ("a\tvarchar ( 10 )", OptionType(inner=StringType())),
    ],
)
def test_types_and_keywords_are_read_in_any_case_and_spacing(column: str, expected: DataType) -> None:
    assert type_of(column) == expected


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("CamelCase INT", "CamelCase"),
        ('"two words" INT', "two words"),
        ('"say ""hi""" INT', 'say "hi"'),
        ("`tick` INT", "tick"),
        ("größe INT", "größe"),
        ("date DATE", "date"),
        ("not INT", "not"),
        ("_1$ INT", "_1$"),
    ],
)
def test_names_keep_their_case_and_may_be_quoted(column: str, name: str) -> None:
    assert parse_ddl([column]).fields[0].name == name


def test_columns_are_one_list_however_they_are_cut() -> None:
    expected = DataSchema(
        fields=(
            DataField(name="a", type=OptionType(inner=Int32Type())),
            DataField(name="b", type=DecimalType(precision=5, scale=2)),
        )
    )

    assert parse_ddl(["a INT", "b DECIMAL(5, 2)"]) == expected
    assert parse_ddl(["a INT, b DECIMAL(5", "2)"]) == expected


def test_no_columns_are_an_empty_schema() -> None:
    assert parse_ddl([]) == DataSchema(fields=())


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (["id INT", "b"], "column `b` of the DDL schema: it has no type; accepted types are BOOL"),
        (["id INT", "a: INT"], "column `a` of the DDL schema: type : is not supported"),
        (["a INT", "a STRING"], "column `a` of the DDL schema: it is defined twice"),
        (["a DECIMAL"], "DECIMAL needs both numbers, as in DECIMAL\\(10, 2\\)"),
        (["a DECIMAL(5)"], "DECIMAL needs both numbers"),
        (["a DECIMAL(77, 2)"], "must have 1 to 76 digits"),
        (["a DECIMAL(5, 6)"], "no larger scale"),
        (["a DECIMAL(x, 6)"], "expected a number, found x"),
        (["a ARRAY"], "expected `<`, found the end"),
        (["a ARRAY<INT"], "expected `>`, found the end"),
        (["a INT NOT"], "expected NULL after NOT, found the end"),
        (["a INT NULL"], "unexpected NULL after the type"),
        (["a FLOAT(53)"], "unexpected \\( after the type"),
        (["a DOUBLE PRECISION"], "unexpected PRECISION"),
        (["1a INT"], "DDL schema: expected the name of a column, found 1"),
        (["a INT", ""], "DDL schema: expected the name of a column, found the end"),
        (["", "a INT"], "DDL schema: expected the name of a column, found ,"),
        (["a " + "ARRAY<" * 40 + "INT" + ">" * 40], "nested more than 32 times"),
    ],
)
def test_an_error_says_which_column_and_why(columns: list[str], problem: str) -> None:
    with pytest.raises(DdlError, match=problem):
        parse_ddl(columns)


def test_an_unknown_type_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DdlError) as error:
        parse_ddl(["id INT", "big SERIAL"])

    assert error.value.column == "big"
    assert str(error.value).endswith(ACCEPTED_TYPES)


@given(st.lists(st.text(alphabet='aINT "`<>(),DECIMALRY10é-', max_size=30), max_size=3))
def test_any_text_is_a_schema_or_a_ddl_error(columns: list[str]) -> None:
    try:
        parse_ddl(columns)
    except DdlError:
        return
