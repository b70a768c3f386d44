from __future__ import annotations

from dagster import AssetKey, TableColumnDep, TableColumnLineage

from kamu_assets.orchestration.catalog.state import CatalogColumn
from kamu_assets.orchestration.reports.materialization import table_schema

GIVEN = (("offset", "Int64"), ("op", "Int32"), ("system_time", "Timestamp"))


def described(*columns: tuple[str, str]) -> dict[str, bool]:
    shown = table_schema(tuple(CatalogColumn(name=name, type=kind, nullable=True) for name, kind in columns))
    return {column.name: column.description is not None for column in shown.columns}


def test_columns_that_every_dataset_has_are_described() -> None:
    assert described(*GIVEN, ("happened", "Timestamp"), ("seen", "Timestamp")) == {
        "offset": True,
        "op": True,
        "system_time": True,
        "happened": True,
        "seen": False,
    }


def test_other_columns_are_not() -> None:
    assert described(*GIVEN, ("city", "String"))["city"] is False
    assert described(("city", "String"), ("since", "Date")) == {"city": False, "since": False}
    assert described() == {}


def test_columns_of_derivatives_say_where_they_are_from() -> None:
    weather, flights = AssetKey(["kamu", "weather"]), AssetKey(["kamu", "flights"])
    origins = TableColumnLineage(
        {
            "offset": [TableColumnDep(flights, "offset")],
            "sum": [TableColumnDep(weather, f"c{number}") for number in range(7)],
            "felt": [TableColumnDep(weather, "temp"), TableColumnDep(weather, "wind")],
        }
    )
    columns = tuple(
        CatalogColumn(name=name, type="Float64", nullable=True) for name in ("offset", "sum", "felt", "new")
    )

    shown = {column.name: column.description for column in table_schema(columns, origins).columns}

    assert shown["offset"] == "Position of the record in the dataset"
    assert (shown["sum"] or "").endswith(", c4 of kamu/weather and 2 more")
    assert (shown["felt"], shown["new"]) == ("From temp of kamu/weather, wind of kamu/weather", None)
