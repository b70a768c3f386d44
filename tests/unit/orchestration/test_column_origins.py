from __future__ import annotations

from dagster import AssetKey, TableColumnDep

from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.data import DataField, StringType
from kamu_assets.odf.dataset import MetadataEvent, SetTransform
from kamu_assets.odf.engine import SqlQueryStep, TransformInput, TransformSql
from kamu_assets.odf.identity import DatasetKind
from kamu_assets.orchestration.reports.column_origins import ColumnOrigins
from tests.support.builders import a_schema
from tests.support.heart import Heart

CITY, TOWN = (DataField(name=name, type=StringType()) for name in ("city", "town"))


def that_computes(query: str, *inputs: TransformInput) -> SetTransform:
    transform = TransformSql(engine="datafusion", queries=(SqlQueryStep(query=query),))
    return SetTransform(inputs=inputs, transform=transform)


def input_of(entry: DatasetEntry) -> TransformInput:
    return TransformInput(dataset_ref=str(entry.id), alias="i0")


def origins(heart: Heart, entry: DatasetEntry, chains: Chains | None = None) -> dict[str, list[TableColumnDep]]:
    chains = chains or heart.chains
    with heart.database.reading() as tx:
        found = ColumnOrigins(chains).of(tx, chains.state(entry.id, tx=tx))
    return {name: list(deps) for name, deps in found.deps_by_column.items()} if found else {}


def derivative(heart: Heart, *events: MetadataEvent) -> DatasetEntry:
    return heart.dataset("derivative", *events, kind=DatasetKind.DERIVATIVE)


def test_columns_lead_to_the_assets_of_inputs(heart: Heart) -> None:
    root = heart.dataset("acme.root", a_schema(CITY))
    query = "select event_time, city as town from i0"

    entry = derivative(heart, that_computes(query, input_of(root)), a_schema(TOWN))

    assert origins(heart, entry) == {
        "event_time": [TableColumnDep(AssetKey(["kamu", "acme.root"]), "event_time")],
        "town": [TableColumnDep(AssetKey(["kamu", "acme.root"]), "city")],
    }


def test_only_columns_of_the_dataset_are_shown(heart: Heart) -> None:
    root = heart.dataset("root", a_schema(CITY))
    query = "select *, city as no_column from i0"

    entry = derivative(heart, that_computes(query, input_of(root)), a_schema(CITY))

    # The engine gives offsets and system times.
    assert set(origins(heart, entry)) == {"op", "event_time", "city"}


def test_roots_and_derivatives_without_data_have_no_origins(heart: Heart) -> None:
    root = heart.dataset("root", a_schema(CITY))
    entry = derivative(heart, that_computes("select * from i0", input_of(root)))

    assert origins(heart, root) == {}
    assert origins(heart, entry) == {}


def test_an_input_that_cannot_be_read_leaves_no_origins(heart: Heart) -> None:
    root = heart.dataset("root", a_schema(CITY))
    entry = derivative(heart, that_computes("select city from i0", input_of(root)), a_schema(CITY))
    blocks = heart.volumes.for_kind(DatasetKind.ROOT)
    for found in list(blocks.list(f"{root.id.as_multibase}/blocks/")):
        blocks.delete(found.key)

    chains = Chains(database=heart.database, volumes=heart.volumes)

    assert origins(heart, entry, chains) == {}
