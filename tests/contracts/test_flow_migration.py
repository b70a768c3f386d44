"""Flows and triggers of nodes that were made before flows had numbers."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from kamu_assets.database.migrations import runner, state
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.history.store import FlowHistory
from kamu_assets.flows.model import FlowOutcome, FlowState, OutcomeKind
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.triggers.rules import Interval
from kamu_assets.flows.triggers.store import TriggerStore
from kamu_assets.odf.identity import AccountID
from kamu_assets.odf.timestamp import Timestamp
from tests.contracts.conftest import opened
from tests.support.builders import a_dataset_id

DATASET, OTHER = a_dataset_id(), a_dataset_id("other")
KAMU = AccountID.seeded(b"kamu")


def upgrade(tx: Transaction, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(runner.FOLDER))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = tx._connection
    command.upgrade(config, revision)


def before_numbers() -> str:
    revisions = state.revisions()
    return revisions[[name.partition("_")[2] for name in revisions].index("flow_history") - 1]


def a_row(tx: Transaction, id_: str, dataset: object, state_: str, second: int, **more: object) -> None:
    row = {"id": id_, "dataset_id": str(dataset), "state": state_, "created_at": second} | more
    row |= {"type": "INGEST", "attempt": 1, "cancel_requested": False}
    row.setdefault("cause_kind", "AUTO_POLLING")
    names = ", ".join(row)
    tx.execute(text(f"INSERT INTO flows ({names}) VALUES ({', '.join(f':{name}' for name in row)})"), row)


def test_flows_get_numbers_and_keep_what_they_told(database_url: str) -> None:
    with opened(database_url) as database:
        with database.transaction() as tx:
            upgrade(tx, before_numbers())
            a_row(tx, "c", DATASET, "WAITING", 30, cause_kind="MANUAL", cause_account=str(KAMU))
            a_row(tx, "b", DATASET, "RUNNING", 20, run_id="run-b", submitted_at=21)
            a_row(tx, "a", DATASET, "FINISHED", 10, run_id="run-a", finished_at=15, outcome="FAILED", message="why")
            a_row(tx, "d", OTHER, "WAITING", 40, cause_kind="INPUT_UPDATED", cause_input=str(DATASET))
            tx.execute(
                text(
                    "INSERT INTO datasets (id, kind, owner_id, account, name, folded_account, folded_name, created_at)"
                    " VALUES (:id, 'Root', :owner, 'kamu', 'root', 'kamu', 'root', '2024-01-01T00:00:00Z')"
                ),
                {"id": str(DATASET), "owner": str(KAMU)},
            )
            tx.execute(
                text(
                    "INSERT INTO flow_triggers (dataset_id, rule_kind, rule, paused, next_due)"
                    " VALUES (:id, 'Interval', '60', :paused, 5)"
                ),
                {"id": str(DATASET), "paused": True},
            )

        database.migrate()

        with database.transaction() as tx:
            waits, runs, failed = FlowStore().list(tx)
            (trigger,) = TriggerStore().list(tx)
            (attempt,) = FlowHistory().attempts(tx, failed.id)
            kept = FlowStore().add(tx, failed)

    assert [failed.id, runs.id, waits.id] == [1, 2, 3]
    assert failed.outcome == attempt.outcome == FlowOutcome(OutcomeKind.FAILED, "why")
    assert (runs.state, runs.run_id, runs.cause.kind) == (FlowState.RUNNING, "run-b", CauseKind.AUTO_POLLING)
    assert [(cause.kind, cause.account) for cause in runs.late_causes] == [(CauseKind.MANUAL, KAMU)]
    assert (waits.cause.input, waits.scheduled_at) == (DATASET, Timestamp(40))
    assert (trigger.rule, trigger.paused) == (Interval(60), True)
    assert kept is not None
    assert kept.id == 4
