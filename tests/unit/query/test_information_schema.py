"""Questions about tables and their columns, under every name that datasets have."""

import pytest

from kamu_assets.engines.sql.errors import InvalidQueryError
from kamu_assets.query.model import DatasetPin
from tests.unit.query.conftest import Reading

# As kamu's `describe` tells them.
COLUMNS = [
    ("offset", "Int64", "NO"),
    ("op", "Int32", "NO"),
    ("system_time", 'Timestamp(ms, "UTC")', "NO"),
    ("event_time", 'Timestamp(ms, "UTC")', "NO"),
    ("station", "Utf8View", "YES"),
    ("level", "Int64", "YES"),
]
SPELLINGS = [
    "log",
    '"log"',
    "Log",
    '"kamu/log"',
    "'kamu/log'",
    "`KAMU/log`",
    'kamu.kamu."kamu/log"',
    "kamu.log",
    '"{id}"',
]


def told(reading: Reading, sql: str) -> list[tuple[str, str, str]]:
    rows = reading.rows(sql)
    return [(row["column_name"], row["data_type"], row["is_nullable"]) for row in rows]


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize(
    "statement", ["describe", "desc", "show columns from", "SHOW COLUMNS IN", "show full columns from"]
)
def test_columns_are_told_under_every_name(reading: Reading, statement: str, name: str) -> None:
    entry = reading.stations("log", 1)

    assert told(reading, f"{statement} {name.format(id=entry.id)}") == COLUMNS


def test_columns_are_shown_under_the_name_that_was_asked_for(reading: Reading) -> None:
    reading.stations("log", 1)
    reading.stations("other", 1)

    rows = reading.rows("-- which\n/* ones */ show columns from log")

    assert {(row["table_catalog"], row["table_schema"], row["table_name"]) for row in rows} == {("kamu", "kamu", "log")}


def test_columns_of_a_pinned_name_are_those_of_then(reading: Reading) -> None:
    entry = reading.stations("log")
    seed = next(reading.heart.chains.blocks(entry.id, newest_first=False)).block_hash
    reading.add(entry, 1)

    for sql in ("show columns from foo", "describe foo"):
        assert reading.rows(sql, datasets=(DatasetPin(entry.id, "foo"),)) != []
        assert reading.rows(sql, datasets=(DatasetPin(entry.id, "foo", seed),)) == []


def test_the_information_schema_knows_datasets_by_account_and_name(reading: Reading) -> None:
    reading.stations("log", 1)
    columns = "select column_name, data_type, is_nullable from information_schema.columns where table_name = '{}'"

    assert told(reading, columns.format("kamu/log")) == COLUMNS
    assert told(reading, columns.format("log")) == []
    assert reading.rows(
        "select table_catalog, table_schema, table_name, table_type from information_schema.tables"
    ) == [
        {"table_catalog": "kamu", "table_schema": "kamu", "table_name": "kamu/log", "table_type": "BASE TABLE"},
        *(
            {"table_catalog": "kamu", "table_schema": "information_schema", "table_name": name, "table_type": "VIEW"}
            for name in ("tables", "views", "columns", "df_settings", "schemata", "routines", "parameters")
        ),
    ]


def test_a_schema_without_owner_has_none(reading: Reading) -> None:
    rows = reading.rows("select schema_name, schema_owner from information_schema.schemata")

    assert {"schema_name": "kamu", "schema_owner": None} in rows


@pytest.mark.parametrize("statement", ["describe", "show columns from", "show create table"])
def test_what_is_not_there_is_no_table(reading: Reading, statement: str) -> None:
    with pytest.raises(InvalidQueryError, match=r"^table 'kamu\.kamu\.nope' not found$"):
        reading.query(f"{statement} nope")
