"""Runs of Dagster's UI of which a look cannot tell: which of them the next one tries again."""

from __future__ import annotations

from unittest.mock import create_autospec

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.storage.dagster_run import RunRecord
from sqlalchemy.exc import OperationalError

from kamu_assets.clock import SystemClock
from kamu_assets.database.errors import DatabaseBusyError, TransactionConflictError
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.errors import InvalidError
from kamu_assets.flows.service import FlowService
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.asked_runs import AskedRuns, TellsOfRuns
from kamu_assets.orchestration.catalog.rows import Catalog
from kamu_assets.orchestration.names import JOB_DELIVER
from kamu_assets.storage.errors import StorageUnavailableError
from kamu_assets.webhooks.errors import SubscriptionNotFoundError

GONE = DatasetNotFoundError(DatasetID.parse("did:odf:" + "f" + "ed01" + "00" * 32))
PASSING = [TransactionConflictError(), StorageUnavailableError("away")]
LASTING = [InvalidError("never"), GONE, ValueError("a bug")]


class Asked:
    """One run that waits, which its filter tells of once, as Dagster does of what does not change."""

    def __init__(self) -> None:
        self.run = DagsterRun(
            job_name=JOB_DELIVER,
            status=DagsterRunStatus.STARTING,
            run_config={"ops": {"deliver": {"config": {"webhook": "one"}}}},
        )
        record = create_autospec(RunRecord, instance=True, dagster_run=self.run)
        self.instance = create_autospec(DagsterInstance, instance=True)
        self.instance.get_run_records.side_effect = [[record], [], []]
        self.instance.get_run_by_id.return_value = self.run
        self.catalog = create_autospec(Catalog, instance=True)
        self.flows = create_autospec(FlowService, instance=True)
        self.flows.run_asked.return_value = []
        self.runs = AskedRuns(
            instance=self.instance,
            catalog=self.catalog,
            flows=self.flows,
            runs=create_autospec(TellsOfRuns, instance=True),
            clock=SystemClock(),
        )


def refused(error: Exception) -> Exception:
    """As the driver's words are kept behind ours."""
    error.__cause__ = OperationalError("select 1", {}, OSError("what a driver said"))
    return error


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("is_known", [True, False])
def test_what_passes_is_tried_again(error: Exception, *, is_known: bool) -> None:
    asked = Asked()
    failing = asked.flows.run_asked if is_known else asked.catalog.receiver
    failing.side_effect = refused(error)
    asked.runs.look()
    failing.side_effect = None

    asked.runs.look()

    assert asked.flows.run_asked.call_count == (2 if is_known else 1)


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
def test_what_never_goes_well_is_left_alone(error: Exception) -> None:
    asked = Asked()
    asked.flows.run_asked.side_effect = error

    asked.runs.look()
    asked.runs.look()

    asked.flows.run_asked.assert_called_once()


def test_what_makes_no_sense_is_left_alone() -> None:
    asked = Asked()
    asked.catalog.receiver.side_effect = SubscriptionNotFoundError("one")

    asked.runs.look()
    asked.runs.look()

    asked.catalog.receiver.assert_called_once()


def test_a_database_that_is_away_ends_the_look_for_all() -> None:
    asked = Asked()
    asked.catalog.receiver.side_effect = DatabaseBusyError()

    with pytest.raises(DatabaseBusyError):
        asked.runs.look()
