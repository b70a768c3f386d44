"""Flows count up, keep all causes and tell their history; triggers belong to bindings, whose record is kept."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0010_flow_history"
down_revision = predecessor(revision)

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables anew and move the rows."""
    for table in ("flows", "flow_triggers"):
        op.execute(f"CREATE TABLE old_{table} AS SELECT * FROM {table}")
        op.drop_table(table)
    _create_flows()
    _create_history()
    _create_bindings()
    for statement in (_FLOWS, _LATE, _ATTEMPTS, _PROCESSES, _TRIGGERS):
        op.execute(statement)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SELECT setval(pg_get_serial_sequence('flows', 'id'), max(id)) FROM flows HAVING max(id) > 0")
    for table in ("flows", "flow_triggers"):
        op.drop_table(f"old_{table}")


def _create_flows() -> None:
    op.create_table(
        "flows",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("cause_kind", sa.String(32), nullable=False),
        sa.Column("initiator", sa.Text()),
        sa.Column("causes", sa.Text(), nullable=False),
        sa.Column("late_causes", sa.Text()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("condition", sa.Text()),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(36)),
        sa.Column("root_run_id", sa.String(36)),
        sa.Column("parent_run_id", sa.String(36)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("scheduled_at", sa.BigInteger()),
        sa.Column("first_scheduled_at", sa.BigInteger()),
        sa.Column("submitted_at", sa.BigInteger()),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("attempt_ended_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("message", sa.Text()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(None, "flows", ["run_id"])
    op.create_index("ix_flows_state_scheduled", "flows", ["state", "scheduled_at"])
    op.create_index("ix_flows_dataset_id", "flows", ["dataset_id", "id"])
    op.create_index("ix_flows_finished_at", "flows", ["finished_at"])
    live = sa.text("state != 'FINISHED'")
    op.create_index(
        "uq_flows_live", "flows", ["dataset_id", "type"], unique=True, sqlite_where=live, postgresql_where=live
    )


def _create_history() -> None:
    op.create_table(
        "flow_events",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("flow_id", _NUMBER, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("what", sa.Text()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_flow_events_flow_id", "flow_events", ["flow_id", "id"])
    op.create_table(
        "flow_attempts",
        sa.Column("flow_id", _NUMBER, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("outcome", sa.String(16)),
        sa.Column("message", sa.Text()),
        sa.PrimaryKeyConstraint("flow_id", "number"),
    )
    op.create_index(None, "flow_attempts", ["run_id"])


def _create_bindings() -> None:
    op.create_table(
        "flow_triggers",
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("rule_kind", sa.String(16), nullable=False),
        sa.Column("rule", sa.String(255), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "type"),
    )
    op.create_table(
        "flow_processes",
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("last_attempt_at", sa.BigInteger()),
        sa.Column("last_success_at", sa.BigInteger()),
        sa.Column("last_failure_at", sa.BigInteger()),
        sa.Column("consecutive_failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "type"),
    )


_CAUSE = """'[{"kind":"' || old.cause_kind || '"' || coalesce(',"account":"' || old.cause_account || '"', '')
    || coalesce(',"input":"' || old.cause_input || '"', '') || '}]'"""

_FLOWS = f"""
INSERT INTO flows (id, dataset_id, type, cause_kind, initiator, causes, state, attempt, run_id, root_run_id,
    parent_run_id, created_at, scheduled_at, first_scheduled_at, submitted_at, started_at, attempt_ended_at,
    finished_at, cancel_requested, outcome, message)
SELECT row_number() OVER (ORDER BY old.created_at, old.id), old.dataset_id, old.type, old.cause_kind,
    old.cause_account, {_CAUSE}, old.state, old.attempt, old.run_id, old.root_run_id, old.parent_run_id,
    old.created_at, old.created_at, old.created_at, old.submitted_at, old.started_at, old.finished_at,
    old.finished_at, old.cancel_requested, old.outcome, old.message
FROM old_flows old
WHERE NOT (old.state = 'WAITING' AND EXISTS (
    SELECT 1 FROM old_flows running WHERE running.state = 'RUNNING' AND running.dataset_id = old.dataset_id))
"""
_LATE = f"""
UPDATE flows SET late_causes = (
    SELECT {_CAUSE} FROM old_flows old WHERE old.state = 'WAITING' AND old.dataset_id = flows.dataset_id)
WHERE state = 'RUNNING'
"""
_ATTEMPTS = """
INSERT INTO flow_attempts (flow_id, number, run_id, queued_at, started_at, finished_at, outcome, message)
SELECT id, attempt, run_id, coalesce(submitted_at, created_at), started_at, finished_at, outcome,
    CASE WHEN outcome IS NULL THEN NULL ELSE message END
FROM flows WHERE run_id IS NOT NULL
"""
_PROCESSES = """
INSERT INTO flow_processes
    (dataset_id, type, last_attempt_at, last_success_at, last_failure_at, consecutive_failures)
SELECT dataset_id, type, max(finished_at),
    max(CASE WHEN outcome IN ('SUCCESS', 'UP_TO_DATE') THEN finished_at END),
    max(CASE WHEN outcome = 'FAILED' THEN finished_at END), 0
FROM flows WHERE outcome IN ('SUCCESS', 'UP_TO_DATE', 'FAILED') GROUP BY dataset_id, type
"""
_TRIGGERS = """
INSERT INTO flow_triggers (dataset_id, type, rule_kind, rule, paused)
SELECT old.dataset_id, CASE WHEN datasets.kind = 'Root' THEN 'INGEST' ELSE 'EXECUTE_TRANSFORM' END,
    old.rule_kind, old.rule, old.paused
FROM old_flow_triggers old JOIN datasets ON datasets.id = old.dataset_id
"""
