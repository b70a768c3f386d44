"""A dataset in Dagster's words."""

import hashlib

from dagster import AssetCheckSpec, AssetDep, AssetKey, AssetSpec, MetadataValue

from kamu_assets.orchestration.catalog_state import CatalogRow
from kamu_assets.orchestration.materialization import Shown, table_schema
from kamu_assets.orchestration.names import CHECK_VERIFY, METADATA_DATASET_ID, asset_key, group_name, tag_value

_VERIFIES = "Hashes of all blocks and files, and whether the results of a derivative come of its inputs."


def key(row: CatalogRow) -> AssetKey:
    return asset_key(row.account, row.name)


def spec(row: CatalogRow) -> AssetSpec:
    """The asset of a dataset. It may end a run without a materialization: there was nothing to do."""
    return AssetSpec(
        key(row),
        deps=[AssetDep(asset_key(account, name)) for account, name in row.inputs],
        skippable=True,
        description=row.description,
        group_name=group_name(row.account),
        owners=[f"team:{row.account}"],
        kinds=_kinds(row),
        tags={"kamu/kind": row.kind, "kamu/account": tag_value(row.account)},
        code_version=_code_version(row),
        metadata=_metadata(row),
    )


def check_spec(row: CatalogRow) -> AssetCheckSpec:
    """The check that verifies a dataset; it keeps nobody from reading it."""
    return AssetCheckSpec(CHECK_VERIFY, asset=key(row), description=_VERIFIES)


def _kinds(row: CatalogRow) -> set[str]:
    kinds = {"parquet", row.kind.lower()}
    if row.sql is not None:
        kinds.add("sql")
    return kinds


def _code_version(row: CatalogRow) -> str | None:
    """Dagster marks derivatives whose query changed since their last run."""
    return hashlib.sha256(row.sql.encode()).hexdigest()[:16] if row.sql is not None else None


def _metadata(row: CatalogRow) -> dict[str, Shown]:
    metadata: dict[str, Shown] = {METADATA_DATASET_ID: str(row.id), "kind": row.kind}
    if row.columns:
        metadata["dagster/column_schema"] = table_schema(row.columns)
    if row.sql is not None:
        metadata["sql"] = MetadataValue.md(f"```sql\n{row.sql}\n```")
    if row.engine is not None:
        metadata["engine"] = row.engine
    if row.source is not None:
        metadata["source"] = row.source
    return metadata
