from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from dagster import UrlMetadataValue

from kamu_assets.defs.translator import spec
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog.state import CatalogRow
from kamu_assets.orchestration.names import group_name

ID = DatasetID.seeded(b"rates")


def a_row(**fields: object) -> CatalogRow:
    return CatalogRow.model_validate({"id": ID, "account": "acme-inc", "name": "net.rates", "kind": "Root"} | fields)


def test_an_account_is_group_and_owner() -> None:
    asset = spec(a_row())

    assert (asset.group_name, list(asset.owners)) == ("acme_inc", ["team:acme-inc"])
    assert asset.group_name == group_name("acme-inc")


def test_keywords_describe_what_has_no_description() -> None:
    keywords = ("money", "daily")

    assert spec(a_row(keywords=keywords)).description == "money, daily"
    assert spec(a_row(keywords=keywords, description="Rates")).description == "Rates"
    assert spec(a_row(keywords=keywords)).metadata["keywords"] == "money, daily"


def test_what_has_neither_is_described_in_short() -> None:
    inputs = (("acme-inc", "rates"), ("other", "days"))

    assert spec(a_row()).description == "A root dataset."
    assert spec(a_row(source="takes pushes")).description == "A dataset that takes pushes."
    assert spec(a_row(kind="Derivative", inputs=inputs)).description == "Computed from acme-inc/rates, other/days."


def test_kinds_name_the_engine() -> None:
    assert spec(a_row()).kinds == {"parquet", "root"}
    assert spec(a_row(kind="Derivative", sql="select 1", engine="my engine")).kinds == {
        "parquet",
        "derivative",
        "sql",
        "my_engine",
    }


def test_metadata_tells_identity_and_folder() -> None:
    metadata = spec(a_row(uri="file:///node/datasets/fed01")).metadata

    assert metadata["kamu/dataset_id"] == str(ID)
    assert metadata["dagster/uri"] == "file:///node/datasets/fed01"


def test_metadata_tells_what_brings_it_up_to_date() -> None:
    assert spec(a_row(trigger="every 10s; paused")).metadata["trigger"] == "every 10s; paused"
    assert "trigger" not in spec(a_row()).metadata


def test_links_lead_to_the_runs_and_to_the_node() -> None:
    metadata = spec(a_row(page="http://node:1/acme-inc/net.rates")).metadata

    assert metadata["tail"] == UrlMetadataValue("http://node:1/acme-inc/net.rates/tail")
    assert metadata["metadata"] == UrlMetadataValue("http://node:1/acme-inc/net.rates/metadata")
    runs = metadata["runs"]
    assert isinstance(runs, UrlMetadataValue)
    assert parse_qs(urlsplit(runs.url or "").query) == {"q[0]": [f"tag:kamu/dataset_id={ID}"]}
