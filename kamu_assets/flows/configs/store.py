"""Rows of configurations: how the flows of a binding are done."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Column, String, Table, Text, bindparam, delete, select

from kamu_assets.database.columns import DatasetIDColumn
from kamu_assets.database.frequent import Frequent
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.model import Binding, FlowType
from kamu_assets.flows.retrying import FlowConfig
from kamu_assets.odf.identity import DatasetID

configs = Table(
    "flow_configs",
    metadata,
    Column("dataset_id", DatasetIDColumn, primary_key=True),
    Column("type", String(32), primary_key=True),
    Column("config", Text, nullable=False),
)

# Made once: every flow that begins to wait looks.
_FIND = Frequent(
    select(configs.c.config).where(configs.c.dataset_id == bindparam("dataset"), configs.c.type == bindparam("type"))
)
_CONFIG = TypeAdapter(FlowConfig)


class ConfigStore:
    """At most one per binding."""

    def find(self, tx: Transaction, binding: Binding) -> FlowConfig | None:
        found = tx.find(_FIND, {"dataset": binding.dataset_id, "type": binding.type.value})
        return next((_CONFIG.validate_json(row.config) for row in found), None)

    def set(self, tx: Transaction, binding: Binding, config: FlowConfig) -> None:
        """Whatever others set at the same time."""
        text = _CONFIG.dump_json(config, exclude_defaults=True).decode()
        keys = {"dataset_id": binding.dataset_id, "type": binding.type.value}
        query = tx.insert(configs).values(**keys, config=text)
        tx.execute(query.on_conflict_do_update(index_elements=[*keys], set_={"config": text}))

    def remove(self, tx: Transaction, binding: Binding) -> None:
        tx.execute(delete(configs).where(*_of(binding)))

    def forget(self, tx: Transaction, dataset: DatasetID) -> None:
        tx.execute(delete(configs).where(configs.c.dataset_id == dataset))

    def all(self, tx: Transaction) -> Mapping[Binding, FlowConfig]:
        return {
            Binding(row.dataset_id, FlowType(row.type)): _CONFIG.validate_json(row.config)
            for row in tx.execute(select(configs).order_by(configs.c.dataset_id, configs.c.type))
        }


def _of(binding: Binding) -> tuple[Any, ...]:
    return (configs.c.dataset_id == binding.dataset_id, configs.c.type == binding.type.value)
