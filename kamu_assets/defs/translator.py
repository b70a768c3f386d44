"""A dataset in Dagster's words."""

import hashlib
from datetime import timedelta
from urllib.parse import quote

from dagster import AssetCheckSpec, AssetDep, AssetKey, AssetSpec, Failure, FreshnessPolicy, MetadataValue

from kamu_assets.coordinator.errors import InvalidInputIntervalError
from kamu_assets.errors import KamuError, UnavailableError
from kamu_assets.orchestration.catalog.state import CatalogRow
from kamu_assets.orchestration.names import (
    CHECK_VERIFY,
    METADATA_DATASET_ID,
    TAG_DATASET,
    asset_key,
    group_name,
    tag_value,
)
from kamu_assets.orchestration.reports.materialization import Shown, table_schema

_VERIFIES = "Hashes of all blocks and files, and whether the results of a derivative come of its inputs."


def key(row: CatalogRow) -> AssetKey:
    return asset_key(row.account, row.name)


def spec(row: CatalogRow) -> AssetSpec:
    """The asset of a dataset. It may end a run without a materialization: there was nothing to do."""
    return AssetSpec(
        key(row),
        deps=[AssetDep(asset_key(account, name)) for account, name in row.inputs],
        skippable=True,
        description=_description(row),
        group_name=group_name(row.account),
        owners=[f"team:{row.account}"],
        kinds=_kinds(row),
        tags={"kamu/kind": row.kind, "kamu/account": tag_value(row.account)},
        code_version=_code_version(row),
        freshness_policy=_freshness_policy(row),
        metadata=_metadata(row),
    )


def check_specs(row: CatalogRow) -> list[AssetCheckSpec]:
    """The check that verifies a dataset, and those that it declares; they keep nobody from reading it."""
    verify = AssetCheckSpec(CHECK_VERIFY, asset=key(row), description=_VERIFIES)
    return [verify, *(AssetCheckSpec(each.name, asset=key(row), description=each.text) for each in row.checks)]


def failure(row: CatalogRow, error: KamuError) -> Failure:
    """A run's end that is no bug of ours: what is wrong comes first, then what to do, and no traceback."""
    facts: dict[str, Shown] = {"what_to_do": _advice(error), "dataset": f"{row.account}/{row.name}"}
    return Failure(description=str(error), metadata=facts)


def _advice(error: KamuError) -> str:
    kept = "Nothing of what failed was committed."
    if isinstance(error, InvalidInputIntervalError):
        return (
            f"{kept} An input was reset or compacted: run the job `reset_dataset_to_metadata` for this dataset, so"
            " that its rows are computed anew. `kamu-node trigger set <dataset> --reactive --recover` has that done by"
            " itself."
        )
    if isinstance(error, UnavailableError):
        return f"{kept} What is needed did not answer; materialize it again when it does."
    return (
        f"{kept} Correct what the message names: the source, or its description"
        " (`kamu-node show` tells what the dataset expects), and materialize it again."
    )


def _description(row: CatalogRow) -> str:
    return row.description or ", ".join(row.keywords) or _in_short(row)


def _in_short(row: CatalogRow) -> str:
    """What can be said of a dataset that does not describe itself; Dagster would explain how to write Python."""
    if row.inputs:
        return f"Computed from {', '.join(f'{account}/{name}' for account, name in row.inputs)}."
    return f"A dataset that {row.source}." if row.source else f"A {row.kind.lower()} dataset."


def _kinds(row: CatalogRow) -> set[str]:
    kinds = {"parquet", row.kind.lower()}
    if row.sql is not None:
        kinds.add("sql")
    if row.engine:
        kinds.add(tag_value(row.engine))
    return kinds


def _code_version(row: CatalogRow) -> str | None:
    """Dagster marks derivatives whose query changed since their last run."""
    return hashlib.sha256(row.sql.encode()).hexdigest()[:16] if row.sql is not None else None


def _freshness_policy(row: CatalogRow) -> FreshnessPolicy | None:
    """What the dataset's trigger promises."""
    if row.fresh_within is None:
        return None
    late, too_late = row.fresh_within.warn_seconds, row.fresh_within.fail_seconds
    return FreshnessPolicy.time_window(fail_window=timedelta(seconds=too_late), warn_window=timedelta(seconds=late))


def _metadata(row: CatalogRow) -> dict[str, Shown]:
    metadata: dict[str, Shown] = {METADATA_DATASET_ID: str(row.id), "kind": row.kind}
    texts = {"dagster/uri": row.uri, "engine": row.engine, "source": row.source, "keywords": ", ".join(row.keywords)}
    texts["trigger"] = row.trigger
    metadata |= {name: text for name, text in texts.items() if text}
    if row.columns:
        metadata["dagster/column_schema"] = table_schema(row.columns)
    if row.sql is not None:
        metadata["sql"] = MetadataValue.md(f"```sql\n{row.sql}\n```")
    return metadata | _links(row)


def _links(row: CatalogRow) -> dict[str, Shown]:
    """All runs of the dataset, also under older names, and what the node itself tells of it."""
    runs = quote(f"tag:{TAG_DATASET}={row.id}", safe="")
    links: dict[str, Shown] = {"runs": MetadataValue.url(f"/runs?q%5B0%5D={runs}")}
    if row.page is not None:
        links |= {name: MetadataValue.url(f"{row.page}/{name}") for name in ("tail", "metadata")}
    return links
