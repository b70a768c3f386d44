"""What the catalog location is told about each dataset: lean rows, made from the registry, never by the code server."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.triggers.rules import Trigger
from kamu_assets.flows.triggers.text import trigger_text
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import DataSchema, DataType, OptionType
from kamu_assets.odf.dataset import SetDataSchema, SetTransform
from kamu_assets.odf.engine import SqlQueryStep
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog.chain_engine import engine_in
from kamu_assets.orchestration.catalog.promises import FreshWithin, promised
from kamu_assets.orchestration.catalog.sources import source_text
from kamu_assets.orchestration.names import CHECK_QUALITY
from kamu_assets.quality.declared import PATH, declared

MAX_COLUMNS = 200


class CatalogColumn(BaseModel):
    """A column as Dagster shows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: str
    nullable: bool


class CatalogCheck(BaseModel):
    """A declared check as Dagster shows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    text: str


class CatalogRow(BaseModel):
    """A dataset as Dagster shows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: DatasetID
    account: str
    name: str
    kind: str
    # Account and name of each input that is here.
    inputs: tuple[tuple[str, str], ...] = ()
    description: str | None = None
    engine: str | None = None
    # The transform of a derivative, the preprocessing of a root.
    sql: str | None = None
    source: str | None = None
    keywords: tuple[str, ...] = ()
    # The folder of the dataset.
    uri: str | None = None
    # What the node's pages about it have in common.
    page: str | None = None
    columns: tuple[CatalogColumn, ...] = ()
    # Those that the dataset declares, beside the one that each has.
    checks: tuple[CatalogCheck, ...] = ()
    # What brings it up to date by itself, if something does.
    trigger: str | None = None
    # What its trigger promises, if it promises something.
    fresh_within: FreshWithin | None = None

    @cached_property
    def revision(self) -> str:
        """Equal for equal rows."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


_ROWS = TypeAdapter(tuple[CatalogRow, ...])


def dump_rows(rows: tuple[CatalogRow, ...]) -> bytes:
    return _ROWS.dump_json(rows, exclude_defaults=True)


def load_rows(path: Path) -> tuple[CatalogRow, ...]:
    return _ROWS.validate_json(path.read_bytes())


def describe(
    entry: DatasetEntry,
    state: ChainState,
    inputs: tuple[DatasetEntry, ...],
    *,
    uri: str,
    page: str,
    trigger: Trigger | None = None,
) -> CatalogRow:
    """The row of a dataset."""
    return CatalogRow(
        id=entry.id,
        account=str(entry.account),
        name=str(entry.name),
        kind=entry.kind.value,
        inputs=tuple((str(each.account), str(each.name)) for each in inputs),
        description=state.info.description if state.info else None,
        engine=engine_in(state),
        sql=_sql(state),
        source=source_text(state),
        keywords=(state.info.keywords or ()) if state.info else (),
        uri=uri,
        page=page,
        columns=columns_of(state.schema),
        checks=_checks(state),
        trigger=trigger_text(trigger) if trigger is not None else None,
        fresh_within=promised(trigger),
    )


def undescribed(entry: DatasetEntry, reason: str) -> CatalogRow:
    """The row of a dataset whose chain cannot be read."""
    description = f"This dataset cannot be read: {reason}. `kamu-node doctor` may help."
    return CatalogRow(
        id=entry.id,
        account=str(entry.account),
        name=str(entry.name),
        kind=entry.kind.value,
        description=description,
    )


def columns_of(event: SetDataSchema | None) -> tuple[CatalogColumn, ...]:
    """Names and types; a very wide schema is cut."""
    if event is None:
        return ()
    return tuple(_column(field.name, field.type) for field in _schema(event).fields[:MAX_COLUMNS])


def column_names(event: SetDataSchema | None) -> tuple[str, ...]:
    """All of them."""
    return tuple(field.name for field in _schema(event).fields) if event is not None else ()


def _schema(event: SetDataSchema) -> DataSchema:
    if event.schema_ is not None:
        return event.schema_
    # Chains from older nodes hold an encoded Arrow schema; only they need Arrow here.
    from kamu_assets.odf.arrow_schema import from_arrow, read_legacy_schema

    return from_arrow(read_legacy_schema(event.raw_arrow_schema or b""))


def _column(name: str, type_: DataType) -> CatalogColumn:
    nullable = isinstance(type_, OptionType)
    inner = type_.inner if isinstance(type_, OptionType) else type_
    return CatalogColumn(name=name, type=inner.kind, nullable=nullable)


def _sql(state: ChainState) -> str | None:
    if state.transform is not None:
        return _text(state.transform)
    polling = state.polling_source
    sources = [polling] if polling else list(state.push_sources.values())
    for source in sources:
        if source.preprocess is not None and source.preprocess.queries:
            return "\n;\n".join(step.query for step in source.preprocess.queries)
    return None


def _text(event: SetTransform) -> str | None:
    steps: Sequence[SqlQueryStep] = event.transform.queries or ()
    texts = [step.query if step.alias is None else f"-- {step.alias}\n{step.query}" for step in steps]
    return "\n;\n".join(texts) or event.transform.query


def _checks(state: ChainState) -> tuple[CatalogCheck, ...]:
    found = declared(state.attachments)
    if found.problem is not None:
        # As long as nobody knows what else is to be checked.
        return (CatalogCheck(name=CHECK_QUALITY, text=f"{PATH} says what is to be checked"),)
    return tuple(CatalogCheck(name=check.name, text=check.text) for check in found.checks)
