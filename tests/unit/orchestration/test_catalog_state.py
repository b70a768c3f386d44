from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.flows.model import FlowType
from kamu_assets.flows.triggers.rules import Interval, Trigger
from kamu_assets.flows.triggers.store import TriggerStore
from kamu_assets.odf.data import DataField, OptionType, StringType
from kamu_assets.odf.dataset import AddPushSource, SetInfo, SetPollingSource, SetTransform
from kamu_assets.odf.engine import SqlQueryStep, TransformInput, TransformSql
from kamu_assets.odf.identity import DatasetKind
from kamu_assets.odf.source import FetchStepUrl, MergeStrategyAppend, ReadStepNdJson
from kamu_assets.orchestration.catalog.rows import Catalog
from kamu_assets.orchestration.catalog.state import CatalogColumn, dump_rows, load_rows
from tests.support.builders import START, a_schema
from tests.support.heart import Heart


@pytest.fixture
def catalog(heart: Heart) -> Catalog:
    return catalog_of(heart, heart.chains)


def catalog_of(heart: Heart, chains: Chains) -> Catalog:
    return Catalog(database=heart.database, chains=chains, volumes=heart.volumes, node_url="http://node")


def test_a_row_tells_what_the_chain_says(heart: Heart, catalog: Catalog) -> None:
    source = AddPushSource(
        source_name="default",
        read=ReadStepNdJson(),
        preprocess=TransformSql(engine="datafusion", queries=(SqlQueryStep(query="select 1"),)),
        merge=MergeStrategyAppend(),
    )
    city = DataField(name="city", type=OptionType(inner=StringType()))
    info = SetInfo(description="Rates", keywords=("money", "daily"))
    entry = heart.dataset("rates", info, source, a_schema(city))

    row = catalog.row(entry.id)

    assert (row.account, row.name, row.kind) == ("kamu", "rates", "Root")
    assert (row.description, row.sql, row.source) == ("Rates", "select 1", "takes pushes")
    assert (row.keywords, row.page) == (("money", "daily"), "http://node/kamu/rates")
    assert row.columns[0] == CatalogColumn(name="offset", type="Int64", nullable=False)
    assert row.columns[-1] == CatalogColumn(name="city", type="String", nullable=True)


def test_a_row_tells_the_folder_of_its_dataset(heart: Heart, catalog: Catalog) -> None:
    entry = heart.dataset("rates")

    uri = catalog.row(entry.id).uri

    assert uri is not None
    assert uri.startswith("file:///")
    assert (Path(uri.removeprefix("file://")) / "refs" / "head").is_file()


def test_a_row_tells_what_brings_its_dataset_up_to_date(heart: Heart, catalog: Catalog) -> None:
    root = heart.dataset("polled")
    inputs = (TransformInput(dataset_ref=str(root.id), alias="polled"),)
    query = TransformSql(engine="datafusion", queries=(SqlQueryStep(query="select 1"),))
    derivative = heart.dataset("derived", SetTransform(inputs=inputs, transform=query), kind=DatasetKind.DERIVATIVE)
    with heart.database.transaction() as tx:
        TriggerStore().set(tx, Trigger(root.id, FlowType.INGEST, Interval(10), paused_at=START))

    assert catalog.row(root.id).trigger == "every 10s; paused"
    # Nobody has to say so.
    assert catalog.row(derivative.id).trigger == "when inputs change"
    assert catalog.row(heart.dataset("pushed").id).trigger is None


def test_a_row_tells_what_is_polled_without_its_secrets(heart: Heart, catalog: Catalog) -> None:
    fetch = FetchStepUrl(url="https://me:very-secret@host/rates.csv?token=also-secret&day=1")
    source = SetPollingSource(fetch=fetch, read=ReadStepNdJson(), merge=MergeStrategyAppend())

    told = str(catalog.row(heart.dataset("rates", source).id).source)

    assert told.startswith("polls https://")
    assert "host/rates.csv" in told
    assert "secret" not in told


def test_rows_are_stored_and_read_back(heart: Heart, catalog: Catalog, tmp_path: Path) -> None:
    entries = [heart.dataset(name) for name in ("one", "two")]
    rows = tuple(catalog.rows([entry.id for entry in entries]).values())

    (tmp_path / "state").write_bytes(dump_rows(rows))

    assert load_rows(tmp_path / "state") == rows


def test_new_data_does_not_change_a_row(heart: Heart, catalog: Catalog) -> None:
    entry = heart.dataset("rates")
    before = catalog.row(entry.id).revision

    heart.add_data(entry.id)

    assert catalog.row(entry.id).revision == before


def test_a_damaged_dataset_hides_neither_itself_nor_others(heart: Heart, tmp_path: Path) -> None:
    entries = [heart.dataset(name) for name in ("damaged", "sound")]
    folder = tmp_path / "datasets" / entries[0].id.as_multibase / "blocks"
    for block in folder.iterdir():
        block.unlink()
    catalog = catalog_of(heart, Chains(database=heart.database, volumes=heart.volumes))

    rows = catalog.rows([entry.id for entry in entries])

    assert "cannot be read" in str(rows[entries[0].id].description)
    assert rows[entries[1].id].columns


def test_what_nobody_expected_of_one_dataset_hides_no_other(
    heart: Heart, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, sound = heart.dataset("odd"), heart.dataset("sound")
    row = catalog.row
    halved = CatalogColumn(name="half of a pair: \ud800", type="String", nullable=True)
    monkeypatch.setattr(
        catalog, "row", lambda id_: row(id_).model_copy(update={"columns": (halved,)} if id_ == odd.id else {})
    )

    rows = catalog.rows([odd.id, sound.id])

    assert "cannot be shown" in str(rows[odd.id].description)
    assert rows[sound.id] == row(sound.id)
    assert dump_rows(tuple(rows.values()))


def test_an_outage_in_the_middle_is_nobodys_description(
    heart: Heart, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise OperationalError("select", {}, Exception("server closed the connection"))

    dataset = heart.dataset("sound")
    monkeypatch.setattr(catalog, "row", away)

    with pytest.raises(OperationalError):
        catalog.rows([dataset.id])
