"""Columns are followed through the SQL of a transform, or not shown at all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kamu_assets.odf.engine import SqlQueryStep, TransformSql
from kamu_assets.orchestration.reports.column_lineage import column_lineage

TRIPS = ("trips", ("offset", "op", "system_time", "event_time", "city", "Fare", "tip"))
CITIES = ("acme.cities", ("event_time", "city", "people"))


def lineage(*queries: str, engine: str = "datafusion") -> dict[str, list[str]]:
    """Origins as `table.column` of the columns of the last query; those before it are called s0, s1, …"""
    *views, output = queries
    steps = [SqlQueryStep(alias=f"s{n}", query=query) for n, query in enumerate(views)]
    transform = TransformSql(engine=engine, queries=(*steps, SqlQueryStep(query=output)))
    return {name: _texts(origins) for name, origins in column_lineage(transform, (TRIPS, CITIES)).items()}


def _texts(origins: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{table}.{column}" for table, column in origins]


def test_an_expression_comes_from_all_that_it_names() -> None:
    found = lineage(
        'select t.event_time, "Fare" + tip as paid, case when tip > 0 then c.people end as x '
        "from trips t join \"acme.cities\" c on t.city = c.city where t.city <> 'Oslo'"
    )

    assert found == {
        "event_time": ["trips.event_time"],
        "paid": ["trips.Fare", "trips.tip"],
        "x": ["acme.cities.people", "trips.tip"],
    }


def test_names_keep_their_case() -> None:
    assert lineage("select Fare as a from trips") == {"a": ["trips.Fare"]}
    assert lineage("select fare as a from trips") == {}


def test_a_star_stands_for_the_columns_of_its_table() -> None:
    assert lineage("select * except (offset, op, system_time) from trips") == {
        name: [f"trips.{name}"] for name in ("event_time", "city", "Fare", "tip")
    }
    assert lineage('select c.* from trips t join "acme.cities" c on t.city = c.city') == {
        name: [f"acme.cities.{name}"] for name in CITIES[1]
    }


def test_columns_are_followed_through_steps_subqueries_and_ctes() -> None:
    assert lineage(
        "select event_time, city as town, Fare from trips",
        "with x as (select * from s0) select town, sum(Fare) as total from (select * from x) y group by town",
        "select town as place, total * 2 as twice from s1",
    ) == {"place": ["trips.city"], "twice": ["trips.Fare"]}


def test_branches_of_a_union_meet_by_position() -> None:
    both = 'select city as a, event_time from trips union all select city, event_time from "acme.cities"'

    assert lineage(both) == {
        "a": ["acme.cities.city", "trips.city"],
        "event_time": ["acme.cities.event_time", "trips.event_time"],
    }
    assert lineage(both.replace("union all", "except"))["a"] == ["trips.city"]


def test_an_alias_does_not_hide_the_column_of_that_name_beside_it() -> None:
    assert lineage("select Fare as tip, tip + 1 as more from trips") == {
        "tip": ["trips.Fare"],
        "more": ["trips.tip"],
    }


def test_windows_and_temporal_tables_of_flink_are_followed() -> None:
    window = (
        "select tumble_start(event_time, interval '1' day) as event_time, city, sum(Fare) as total from trips "
        "group by tumble(event_time, interval '1' day), city"
    )
    joined = (
        'select t.event_time, t.Fare * c.people as x from trips as t join "acme.cities" '
        "for system_time as of t.event_time as c on t.city = c.city"
    )

    assert lineage(window, engine="flink") == {
        "event_time": ["trips.event_time"],
        "city": ["trips.city"],
        "total": ["trips.Fare"],
    }
    assert lineage(joined, engine="flink")["x"] == ["acme.cities.people", "trips.Fare"]


@pytest.mark.parametrize(
    "query",
    [
        'select (select max(people) from "acme.cities") as x from trips',
        "select u.x from trips, unnest(tip) as u(x)",
        "with recursive r as (select city from trips union all select city from r) select city from r",
        "select count(*) as x from trips",
        "values (1, 2)",
        'select city from trips, "acme.cities"',
        'select event_time from trips union all select * from "acme.cities"',
        "select city from elsewhere",
        "select city from a.b.trips",
        "select nothing, city from trips",
        "select city, tip as city from trips",
        "insert into trips select * from trips",
        "select 1; select city from trips",
        "no query at all",
        "",
        "(" * 2_000 + "select city from trips" + ")" * 2_000,
        "select " + "+".join(["tip"] * 2_000) + " as x from trips",
        "select city from trips -- " + "x" * 60_000,
    ],
    ids=range(18),
)
def test_what_is_not_understood_has_no_lineage(query: str) -> None:
    assert lineage(query) == {}


def test_a_column_that_is_not_understood_does_not_hide_the_others() -> None:
    found = lineage('select city, (select max(people) from "acme.cities") as x, tip from trips')

    assert found == {"city": ["trips.city"], "tip": ["trips.tip"]}
