"""What the prompt proposes."""

import pytest

from kamu_api.cli.query.completion_words import Word, describe_words, next_words, quoted_where_needed

COLUMNS = {"cities": ["city", "population", "Zip Code"], "flights.late": ["carrier"], "other/cities": ["mayor"]}


def words(before: str, after: str = "") -> list[str]:
    found = next_words(before, before + after, tables=list(COLUMNS), columns=lambda name: COLUMNS[name])
    return [word.text for word in found]


def test_after_from_there_are_datasets_only() -> None:
    assert words("select * from ") == ["cities", '"flights.late"', '"other/cities"']
    assert words("select * from cities, f") == ['"flights.late"']
    assert words("select * from cities join c") == ["cities"]


def test_columns_are_those_of_the_datasets_that_are_named() -> None:
    assert words("select pop", " from cities") == ["population"]
    assert words("select z", " from Cities") == ['"Zip Code"']
    assert words("select carr", ' from "flights.late"') == ["carrier"]
    assert words("select may", ' from "other/cities"') == ["mayor"]
    assert "population" not in words("select pop", ' from "flights.late"')


def test_words_of_sql_are_proposed_once_one_is_begun() -> None:
    assert "select" in words("se")
    assert words("select * from cities ord") == ["order by"]
    assert "order by" not in words("select * from cities ")


def test_open_quotes_are_closed() -> None:
    assert list(next_words('select * from "fl', "", tables=list(COLUMNS), columns=lambda _: [])) == [
        Word('"flights.late"', 3, "dataset")
    ]


def test_nothing_is_proposed_within_texts() -> None:
    assert words("select * from cities where city = 'c") == []


@pytest.mark.parametrize(
    ("name", "sql"), [("city", "city"), ("a b", '"a b"'), ("a.b", '"a.b"'), ('q"', '"q"""'), ("order", '"order"')]
)
def test_names_get_quotes_where_they_need_them(name: str, sql: str) -> None:
    assert quoted_where_needed(name) == sql


def test_a_description_is_of_a_dataset() -> None:
    assert [word.text for word in describe_words("\\d fl", list(COLUMNS))] == ["flights.late"]
