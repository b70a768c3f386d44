"""Queries that other systems were found to answer wrongly."""

import pytest

from tests.unit.query.conftest import Change, Reading


def levels(reading: Reading, name: str, *found: int | None) -> None:
    rows: list[Change] = [(0, f"s{number}", level) for number, level in enumerate(found)]
    reading.write(reading.stations(name), rows)


@pytest.mark.parametrize(
    ("left", "right"), [("a", "b"), ("(values (5), (null)) a(level)", "(values (2), (3)) b(level)")]
)
def test_null_is_not_outside_of_a_list(reading: Reading, left: str, right: str) -> None:  # SQ-05
    levels(reading, "a", 5, None)
    levels(reading, "b", 2, 3)

    assert reading.rows(f"select level from {left} where level not in (select level from {right})") == [{"level": 5}]


def test_nothing_is_outside_of_a_list_with_null(reading: Reading) -> None:  # SQ-06
    levels(reading, "t", 1, 2)
    levels(reading, "u", None)

    assert reading.rows("select level from t where level <> 1 and level not in (select level from u)") == []


def test_text_becomes_a_time(reading: Reading) -> None:  # SQ-09
    sql = "select to_timestamp(s) <= now() as past from (values ('2026-01-01T00:00:00')) t(s)"

    assert reading.rows(sql) == [{"past": True}]


@pytest.mark.parametrize("where", ["limit 0", "where level > 100"])
def test_an_empty_result_has_its_columns(reading: Reading, where: str) -> None:  # SQ-22
    levels(reading, "t", 1, 2)

    answer = reading.query(f"select station, level from t {where}")

    assert (answer.columns, answer.rows()) == (("station", "level"), [])


def test_limits_of_a_query_and_of_a_page_go_together(reading: Reading) -> None:  # SQ-27
    levels(reading, "t", *range(10))
    sql = 'select "limit" from (select level as "limit" from t order by level) limit 3 offset 5'

    assert reading.rows(sql) == [{"limit": 5}, {"limit": 6}, {"limit": 7}]
    assert reading.rows(sql, skip=1, limit=1) == [{"limit": 6}]
