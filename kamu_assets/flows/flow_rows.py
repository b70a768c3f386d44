"""The table of flows, and what its rows say."""

from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Boolean, Column, Index, Integer, Row, String, Table, Text

from kamu_assets.database.columns import AccountIDColumn, DatasetIDColumn, RowNumber, TimestampColumn
from kamu_assets.database.tables import metadata
from kamu_assets.flows.causes import FlowCause
from kamu_assets.flows.model import Flow, FlowOutcome, FlowState, FlowType, OutcomeKind, StartCondition
from kamu_assets.flows.results import result_of, result_text
from kamu_assets.flows.retrying import PLAIN, FlowConfig
from kamu_assets.flows.scopes import Scope, ScopeColumn, WebhookScope
from kamu_assets.odf.identity import DatasetID

flows = Table(
    "flows",
    metadata,
    Column("id", RowNumber, primary_key=True),
    Column("scope", ScopeColumn, nullable=False),
    # The one that the scope is, or is about.
    Column("dataset_id", DatasetIDColumn),
    Column("type", String(32), nullable=False),
    Column("cause_kind", String(32), nullable=False),
    Column("initiator", AccountIDColumn),
    Column("causes", Text, nullable=False),
    Column("late_causes", Text),
    Column("state", String(16), nullable=False),
    Column("condition", Text),
    Column("attempt", Integer, nullable=False),
    Column("run_id", String(36), index=True),
    Column("root_run_id", String(36)),
    Column("parent_run_id", String(36)),
    Column("created_at", TimestampColumn, nullable=False),
    Column("scheduled_at", TimestampColumn),
    Column("first_scheduled_at", TimestampColumn),
    Column("submitted_at", TimestampColumn),
    Column("started_at", TimestampColumn),
    Column("attempt_ended_at", TimestampColumn),
    Column("finished_at", TimestampColumn),
    Column("cancel_requested", Boolean, nullable=False),
    Column("config", Text),
    Column("priority", Integer, nullable=False),
    Column("outcome", String(16)),
    Column("recoverable", Boolean),
    Column("rewritten_input", DatasetIDColumn),
    # Of the outcome; before there is one, what the flow waits for.
    Column("message", Text),
    Column("result", Text),
    Index("ix_flows_state_scheduled", "state", "scheduled_at"),
    Index("ix_flows_dataset_id", "dataset_id", "id"),
    Index("ix_flows_finished_at", "finished_at"),
    # For lists of flows.
    Index("ix_flows_initiator", "initiator", "id"),
    Index("ix_flows_type", "type", "id"),
)
# All columns but the id.
CHANGING = tuple(column.name for column in flows.columns if not column.primary_key)
is_live = flows.c.state != FlowState.FINISHED.value
Index("ix_flows_outcome", flows.c.outcome, flows.c.id, sqlite_where=flows.c.outcome.is_not(None))
# At most one per binding, whoever races.
Index("uq_flows_live", flows.c.scope, flows.c.type, unique=True, sqlite_where=is_live)

_CAUSES = TypeAdapter(tuple[FlowCause, ...])
_CONDITION = TypeAdapter(StartCondition)
_CONFIG = TypeAdapter(FlowConfig)

# Columns and fields of the same name and type.
_SAME = (
    *("attempt", "run_id", "root_run_id", "parent_run_id", "created_at", "scheduled_at"),
    *(
        "first_scheduled_at",
        "submitted_at",
        "started_at",
        "attempt_ended_at",
        "finished_at",
        "cancel_requested",
        "priority",
    ),
)


def values_of(flow: Flow) -> dict[str, object]:
    """All columns but the id."""
    return {name: getattr(flow, name) for name in _SAME} | {
        "scope": flow.scope,
        "dataset_id": flow.dataset_id,
        "type": flow.type.value,
        "cause_kind": flow.cause.kind.value,
        "initiator": flow.initiator,
        "causes": _CAUSES.dump_json(flow.causes, exclude_defaults=True).decode(),
        "late_causes": _CAUSES.dump_json(flow.late_causes, exclude_defaults=True).decode()
        if flow.late_causes
        else None,
        "state": flow.state.value,
        "condition": _CONDITION.dump_json(flow.condition, exclude_defaults=True).decode() if flow.condition else None,
        "outcome": flow.outcome.kind.value if flow.outcome else None,
        "recoverable": flow.outcome.recoverable if flow.outcome else None,
        "rewritten_input": flow.outcome.rewritten_input if flow.outcome else None,
        "message": flow.outcome.message if flow.outcome else flow.waits_for,
        "result": result_text(flow.result),
        "config": _CONFIG.dump_json(flow.config, exclude_defaults=True).decode() if flow.config != PLAIN else None,
    }


def flow_of(row: Row[tuple[object, ...]]) -> Flow:
    """The flow that a row tells of."""
    flow = Flow(
        **{name: getattr(row, name) for name in _SAME},
        id=row.id,
        scope=_scope(row.scope, row.dataset_id),
        type=FlowType(row.type),
        causes=_CAUSES.validate_json(row.causes),
        late_causes=_CAUSES.validate_json(row.late_causes) if row.late_causes else (),
        state=FlowState(row.state),
        condition=_CONDITION.validate_json(row.condition) if row.condition else None,
        config=_CONFIG.validate_json(row.config) if row.config else PLAIN,
        result=result_of(row.result),
    )
    if row.outcome:
        return replace(flow, outcome=outcome_of(row))
    return replace(flow, waits_for=row.message)


def _scope(scope: Scope, dataset: DatasetID | None) -> Scope:
    return replace(scope, dataset_id=dataset) if isinstance(scope, WebhookScope) else scope


def outcome_of(row: Row[Any]) -> FlowOutcome:
    """What a row of a flow or an attempt says of how it ended."""
    return FlowOutcome(OutcomeKind(row.outcome), row.message, row.recoverable is not False, row.rewritten_input)
