"""Names of datasets and accounts become names of Dagster's, whatever letters they have."""

from hashlib import sha256

from dagster import AssetKey, Definitions
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kamu_assets.defs.assets import dataset_asset
from kamu_assets.defs.catalog import catalog_definitions
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.names import AccountName, DatasetName
from kamu_assets.orchestration.catalog.state import CatalogColumn, CatalogRow
from kamu_assets.orchestration.names import ASSET_JOB, op_name, tag_value

_LETTERS = "abcXYZ019"
_part = st.text(_LETTERS, min_size=1, max_size=20)
_dashed = st.lists(_part, min_size=1, max_size=4).map("-".join)
account_names = _dashed
dataset_names = st.lists(_dashed, min_size=1, max_size=4).map(".".join)


def a_row(account: str = "kamu", name: str = "net.example.rates", **fields: object) -> CatalogRow:
    defaults = {
        "id": DatasetID.seeded(sha256(f"{account}/{name}".encode()).digest()),
        "account": account,
        "name": name,
        "kind": "Root",
    }
    return CatalogRow.model_validate(defaults | fields)


@given(account=account_names, name=dataset_names, input_name=dataset_names)
@hypothesis_settings(max_examples=30)
def test_every_name_makes_an_asset_that_can_be_executed(account: str, name: str, input_name: str) -> None:
    AccountName(account)
    DatasetName(name)
    row = a_row(account, name, kind="Derivative", inputs=((account, f"{input_name}.in"),), sql="select 1")

    job = catalog_definitions((row,)).get_repository_def().get_job(ASSET_JOB)

    assert [node.name for node in job.nodes] == [op_name(row.id)]


@given(st.text(max_size=100))
def test_every_text_makes_a_tag(text: str) -> None:
    value = tag_value(text)

    assert len(value) <= 63
    assert all(letter.isascii() for letter in value)


def test_an_asset_shows_what_the_dataset_is() -> None:
    row = a_row(
        kind="Derivative",
        inputs=(("kamu", "rates"),),
        description="What it is",
        engine="datafusion",
        sql="select * from rates",
        columns=(CatalogColumn(name="offset", type="Int64", nullable=False),),
    )

    (spec,) = dataset_asset(row).specs

    assert spec.key == AssetKey(["kamu", "net.example.rates"])
    assert [dep.asset_key for dep in spec.deps] == [AssetKey(["kamu", "rates"])]
    assert (spec.group_name, list(spec.owners), spec.description) == ("kamu", ["team:kamu"], "What it is")
    assert spec.kinds == {"parquet", "sql", "derivative", "datafusion"}
    assert spec.metadata["kamu/dataset_id"] == str(row.id)
    assert "select * from rates" in spec.metadata["sql"].value


def test_an_asset_is_made_anew_only_when_its_dataset_changed() -> None:
    first = catalog_definitions((a_row(), a_row(name="other")))
    second = catalog_definitions((a_row(description="new"), a_row(name="other")))

    def assets(definitions: Definitions) -> list[int]:
        return [id(asset) for asset in definitions.assets or ()]

    assert assets(first)[0] != assets(second)[0]
    assert assets(first)[1] == assets(second)[1]
