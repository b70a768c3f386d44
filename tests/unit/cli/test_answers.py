"""Answers as people see them."""

import json

import pytest

from kamu_api.cli.query.answers import is_for_people, print_answer
from kamu_assets.query.model import DataFormat, QueryResponse

FLOATS = (0.5, 1e16, float("nan"), float("inf"), float("-inf"), -0.0, None)


def an_answer(*values: float | None) -> QueryResponse:
    data = json.dumps([[value] for value in values]).encode()
    return QueryResponse(data, DataFormat.JSON_AOA, b"", ("x",), len(values), 100, ())


@pytest.mark.parametrize("form", ["table", "csv"])
def test_numbers_that_are_none_are_shown_as_kamu_shows_them(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert is_for_people(form)

    print_answer(an_answer(*FLOATS), form)

    shown = [line.strip().strip('"') for line in capsys.readouterr().out.splitlines()]
    assert shown == ["x", "0.5", "1e+16", "NaN", "inf", "-inf", "-0.0", ""]


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_json_has_no_such_numbers(form: str) -> None:
    assert not is_for_people(form)
